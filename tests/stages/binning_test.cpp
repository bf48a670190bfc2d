// The binning stage on small artifacts: what each fold may learn from, and what its bins come from.
#include "stages/maps.hpp"
#include "tests/stages/stage_run.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::int64_t voxels = 2 * 5 * 10;

/// Values 0, step, 2 step, ... in the voxels; every fifth voxel lies outside the mask, with a value that would show.
void add_patient(StageRun& run, const std::string& subject, float step) {
  run.add(patient_task("bsvd_targets", subject), {"mtt"}, [&](ArtifactWriter& writer) {
    std::vector<float> values;
    for (int v = 0; v < voxels; ++v) values.push_back(v % 5 == 4 ? 24.9f : step * static_cast<float>(v));
    writer.write<float>(map_spec(Parameter::mtt), {2, 5, 10}, values);
  });
  run.add(patient_task("import", subject), {"brain_mask"}, [&](ArtifactWriter& writer) {
    std::vector<std::uint8_t> mask;
    for (int v = 0; v < voxels; ++v) mask.push_back(v % 5 != 4);
    writer.write<std::uint8_t>(brain_mask_spec(), {2, 5, 10}, mask);
  });
}

TaskInfo fold(const std::string& held_out) { return fold_task("binning", held_out, Parameter::mtt); }

const char* const options = "{bins: 4, samples: 80, validation_share: 0.25, upper_percentile: 100}";

class Binning : public testing::Test {
 protected:
  /// Three patients; `step` of the second one may be another.
  ArtifactReader result(const std::string& held_out, float step_of_second = 0.1f) {
    StageRun run;
    add_patient(run, "sub-01", 0.08f);
    add_patient(run, "sub-02", step_of_second);
    add_patient(run, "sub-03", 0.2f);
    return run.run(*make_stage("binning", options), fold(held_out));
  }
};

TEST_F(Binning, DrawsFromTheTrainingPatientsAlone) {
  const auto left = result("sub-01");
  EXPECT_EQ(left.metadata().at("series"), nlohmann::json({"sub-02", "sub-03"}));
  EXPECT_EQ(left.metadata().at("validation_subject"), "sub-02") << "the one after the held-out one";
  const auto training = left.read<std::int32_t>("training_draws"),
             validation = left.read<std::int32_t>("validation_draws");
  ASSERT_EQ(left.dims("training_draws"), (std::vector<std::int64_t>{80, 2}));
  ASSERT_EQ(left.dims("validation_draws"), (std::vector<std::int64_t>{20, 2}));
  for (std::size_t i = 0; i < training.size(); i += 2) EXPECT_EQ(training[i], 1) << "sub-03";
  for (std::size_t i = 0; i < validation.size(); i += 2) EXPECT_EQ(validation[i], 0) << "sub-02";
  for (const auto* draws : {&training, &validation})
    for (std::size_t i = 1; i < draws->size(); i += 2) {
      EXPECT_GE((*draws)[i], 0);
      EXPECT_LT((*draws)[i], voxels);
      EXPECT_NE((*draws)[i] % 5, 4) << "outside the mask";
    }
}

TEST_F(Binning, EachSubjectValidatesOneFold) {
  EXPECT_EQ(result("sub-02").metadata().at("validation_subject"), "sub-03");
  EXPECT_EQ(result("sub-03").metadata().at("validation_subject"), "sub-01") << "after the last comes the first";
}

TEST_F(Binning, BinsHoldEqualNumbersOfTheirValues) {
  const auto left = result("sub-01");
  const auto edges = left.metadata().at("edges").get<std::vector<double>>();
  ASSERT_EQ(edges.size(), 5u);
  // sub-03 alone trains; its largest value in the mask is 0.2 · 98, to one of 65536 classes over 25 s.
  EXPECT_NEAR(edges[4], 19.6, 25.0 / 65536);
  std::map<int, int> drawn;
  const auto training = left.read<std::int32_t>("training_draws");
  for (std::size_t i = 1; i < training.size(); i += 2)
    ++drawn[std::min(3, static_cast<int>(0.2 * training[i] / edges[4] * 4.0))];
  EXPECT_EQ(drawn, (std::map<int, int>{{0, 20}, {1, 20}, {2, 20}, {3, 20}}));
  EXPECT_EQ(left.metadata().at("training").at("drawn"), nlohmann::json({20, 20, 20, 20}));
}

TEST_F(Binning, SaysHowTheDrawnTargetsSpread) {
  const auto left = result("sub-01");
  const auto draws = left.read<std::int32_t>("validation_draws");
  double sum = 0.0, squares = 0.0;
  for (std::size_t i = 1; i < draws.size(); i += 2) {
    const double target = 0.1f * static_cast<float>(draws[i]);
    sum += target;
    squares += target * target;
  }
  const double n = static_cast<double>(draws.size() / 2);
  EXPECT_NEAR(left.metadata().at("validation").at("target_mean").get<double>(), sum / n, 1e-5);
  EXPECT_NEAR(left.metadata().at("validation").at("target_sd").get<double>(),
              std::sqrt(squares / n - sum / n * sum / n), 1e-5);
}

TEST_F(Binning, TheValidationPatientDecidesNothingOfTheTraining) {
  const auto one = result("sub-01", 0.1f), other = result("sub-01", 0.21f);
  EXPECT_EQ(one.metadata().at("edges"), other.metadata().at("edges"));
  EXPECT_EQ(one.read<std::int32_t>("training_draws"), other.read<std::int32_t>("training_draws"));
}

TEST_F(Binning, ValuesAboveTheRangeOfThePaperCountAsItsMaximum) {
  StageRun run;
  for (const char* subject : {"sub-01", "sub-02", "sub-03"}) add_patient(run, subject, 40.0f);
  const auto left = run.run(*make_stage("binning", options), fold("sub-01"));
  EXPECT_NEAR(left.metadata().at("edges").back().get<double>(), 25.0, 1e-9);
}

TEST_F(Binning, EachParameterHasItsOwnNumberOfBins) {
  StageRun run;
  for (const char* subject : {"sub-01", "sub-02", "sub-03"}) add_patient(run, subject, 0.2f);
  const auto stage = make_stage("binning", "{bins: {mtt: 1, cbf: 7}, samples: 80}");
  const auto left = run.run(*stage, fold("sub-01"));
  EXPECT_EQ(left.metadata().at("edges").size(), 2u) << "one bin: as often as values are in the brain";
  Cohort cohort;
  Findings findings;
  EXPECT_THROW(make_stage("binning", "{bins: {tmax: 2.5}}")->check(cohort, findings), ConfigError);
}

TEST_F(Binning, IsTheSameForTheSameSeedAndOtherwiseForAnother) {
  const auto draws = [](std::uint64_t seed) {
    StageRun run;
    run.job().seed = seed;
    for (const char* subject : {"sub-01", "sub-02", "sub-03"}) add_patient(run, subject, 0.2f);
    return run.run(*make_stage("binning", "{bins: 4, samples: 40}"), fold("sub-01"))
        .read<std::int32_t>("training_draws");
  };
  EXPECT_EQ(draws(1), draws(1));
  EXPECT_NE(draws(1), draws(2));
}

TEST_F(Binning, SmallSlabsChangeNothing) {
  const auto draws = [](std::size_t slab_bytes) {
    StageRun run;
    run.job().slab_bytes = slab_bytes;
    for (const char* subject : {"sub-01", "sub-02", "sub-03"}) add_patient(run, subject, 0.2f);
    return run.run(*make_stage("binning", options), fold("sub-02")).read<std::int32_t>("training_draws");
  };
  EXPECT_EQ(draws(1), draws(1 << 20));
}

TEST_F(Binning, WithoutTrainingPatientsTheTaskFailsAndNotTheJob) {
  StageRun run;
  EXPECT_THROW(run.run(*make_stage("binning", options), fold("sub-01")), TaskFailure);
  add_patient(run, "sub-02", 0.1f);
  EXPECT_THROW(run.run(*make_stage("binning", options), fold("sub-01")), TaskFailure) << "one validates, none trains";
}

}  // namespace
}  // namespace perfpipe
