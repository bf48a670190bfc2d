#include "core/cohort.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

/// A series with a value of its own in every field.
Series full_series() {
  Series series;
  series.name = "sub-01_ses-2";
  series.subject = "sub-01";
  series.session = "ses-2";
  series.image = "c/sub-01_ses-2_dsc.nii.gz";
  series.sidecar = "c/s.json";
  series.mask = "c/m.nii";
  series.aif = "c/a.tsv";
  series.truth = {"t0", "t1", "t2", "t3"};
  series.target = {"g0", "", "g2", "g3"};
  series.modality = Modality::ct;
  series.kind = SeriesKind::concentration;
  series.extent = {128, 64, 20};
  series.times = {0.0, 1.1, 0.1 + 2.1, 1.0 / 3.0 + 4.0};
  series.repetition_time = 1.1;
  series.echo_time = 0.029;
  series.baseline_frames = 7;
  series.voxel_volume_ml = 0.0123456789012345678;
  series.warnings = {"first", "second: µ"};
  return series;
}

TEST(Cohort, EveryFieldSurvivesJson) {
  Cohort cohort;
  cohort.path = "data/cohort";
  cohort.layout = "bids";
  cohort.series = {full_series(), Series{}};
  cohort.skipped = {{"sub-09", "no echo time"}};
  cohort.warnings = {"sub-08: no series"};
  const Cohort copy = cohort_from_json(nlohmann::json::parse(to_json(cohort).dump()));
  EXPECT_EQ(copy.path, cohort.path);
  EXPECT_EQ(copy.layout, cohort.layout);
  EXPECT_EQ(copy.warnings, cohort.warnings);
  ASSERT_EQ(copy.skipped.size(), 1u);
  EXPECT_EQ(copy.skipped[0].name, "sub-09");
  EXPECT_EQ(copy.skipped[0].reason, "no echo time");
  ASSERT_EQ(copy.series.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const Series &found = copy.series[i], &expected = cohort.series[i];
    EXPECT_EQ(found.name, expected.name);
    EXPECT_EQ(found.subject, expected.subject);
    EXPECT_EQ(found.session, expected.session);
    EXPECT_EQ(found.image, expected.image);
    EXPECT_EQ(found.sidecar, expected.sidecar);
    EXPECT_EQ(found.mask, expected.mask);
    EXPECT_EQ(found.aif, expected.aif);
    EXPECT_EQ(found.truth, expected.truth);
    EXPECT_EQ(found.target, expected.target);
    EXPECT_EQ(found.modality, expected.modality);
    EXPECT_EQ(found.kind, expected.kind);
    EXPECT_EQ(found.extent, expected.extent);
    EXPECT_EQ(found.times, expected.times) << "numbers come back bit for bit";
    EXPECT_EQ(found.repetition_time, expected.repetition_time);
    EXPECT_EQ(found.echo_time, expected.echo_time);
    EXPECT_EQ(found.baseline_frames, expected.baseline_frames);
    EXPECT_EQ(found.voxel_volume_ml, expected.voxel_volume_ml);
    EXPECT_EQ(found.warnings, expected.warnings);
  }
}

TEST(Cohort, RefusesJsonThatLacksAField) {
  Cohort cohort;
  cohort.series = {full_series()};
  nlohmann::json json = to_json(cohort);
  json["series"][0].erase("times");
  EXPECT_THROW(cohort_from_json(json), nlohmann::json::exception);
}

TEST(Cohort, SubjectsComeOnceAndInOrder) {
  Cohort cohort;
  for (const char* subject : {"sub-02", "sub-01", "sub-02", "sub-03", "sub-01"}) {
    cohort.series.emplace_back();
    cohort.series.back().subject = subject;
  }
  EXPECT_EQ(cohort.subjects(), (std::vector<std::string>{"sub-02", "sub-01", "sub-03"}));
  EXPECT_TRUE(Cohort{}.subjects().empty());
}

}  // namespace
}  // namespace perfpipe
