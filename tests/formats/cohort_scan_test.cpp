#include "formats/cohort_scan.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

const std::string good_sidecar = R"({"RepetitionTime": 1.5, "EchoTime": 0.03})";

NiftiBuilder good_series() {
  NiftiBuilder builder;
  builder.dim = {4, 3, 2, 40};
  builder.datatype = 4;
  return builder;
}

NiftiBuilder good_mask() {
  NiftiBuilder builder;
  builder.datatype = 2;
  builder.value = [](std::size_t i) { return i > 10 ? 1.0 : 0.0; };
  return builder;
}

/// A cohort folder in the BIDS layout with one good subject, 01.
class CohortScan : public testing::Test {
 protected:
  CohortScan() {
    options_.path = folder_.path();
    add("01");
  }

  std::string perf(const std::string& label) { return "sub-" + label + "/perf/sub-" + label; }
  void add(const std::string& label, const NiftiBuilder& series = good_series(),
           const std::string& sidecar = good_sidecar) {
    series.write(folder_, perf(label) + "_dsc.nii.gz");
    folder_.write(perf(label) + "_dsc.json", sidecar);
  }
  void add_mask(const NiftiBuilder& mask) { mask.write(folder_, perf("01") + "_desc-brain_mask.nii.gz"); }

  Cohort scan() {
    findings_ = Findings();
    unusable_.clear();
    return scan_cohort(options_, findings_, unusable_);
  }
  /// The one good series, with its findings and warnings for a failure's message.
  Series only_series() {
    const Cohort cohort = scan();
    EXPECT_TRUE(findings_.empty()) << all_lines(findings_.lines());
    EXPECT_EQ(cohort.series.size(), 1u);
    return cohort.series.empty() ? Series{} : cohort.series.front();
  }
  void expect_refused(const std::vector<std::string>& pieces) {
    scan();
    EXPECT_TRUE(has_line(findings_.lines(), pieces)) << all_lines(findings_.lines());
  }

  TempFolder folder_;
  CohortOptions options_;
  Findings findings_;
  std::vector<Series> unusable_;
};

TEST_F(CohortScan, FillsInEverythingKnownOfASeries) {
  add_mask(good_mask());
  good_mask().write(folder_, perf("01") + "_desc-truth_cbf.nii.gz");
  good_mask().write(folder_, perf("01") + "_desc-target_tmax.nii.gz");
  folder_.write(perf("01") + "_aif.tsv", "time_s\tvalue\n0\t0\n30\t5\n60\t1\n");
  const Series series = only_series();
  EXPECT_EQ(series.name, "sub-01");
  EXPECT_EQ(series.subject, "sub-01");
  EXPECT_EQ(series.image, folder_ / (perf("01") + "_dsc.nii.gz"));
  EXPECT_EQ(series.sidecar, folder_ / (perf("01") + "_dsc.json"));
  EXPECT_EQ(series.mask, folder_ / (perf("01") + "_desc-brain_mask.nii.gz"));
  EXPECT_EQ(series.aif, folder_ / (perf("01") + "_aif.tsv"));
  EXPECT_EQ(series.truth[index(Parameter::cbf)], folder_ / (perf("01") + "_desc-truth_cbf.nii.gz"));
  EXPECT_EQ(series.target[index(Parameter::tmax)], folder_ / (perf("01") + "_desc-target_tmax.nii.gz"));
  EXPECT_EQ(series.modality, Modality::mr);
  EXPECT_EQ(series.kind, SeriesKind::signal);
  EXPECT_EQ(series.extent, (std::array<std::int64_t, 3>{4, 3, 2}));
  EXPECT_EQ(series.times.size(), 40u);
  EXPECT_EQ(series.repetition_time, 1.5);
  EXPECT_EQ(series.echo_time, 0.03);
  EXPECT_EQ(series.baseline_frames, 0);
  EXPECT_NEAR(series.voxel_volume_ml, 0.02, 1e-9);  // 2 · 2 · 5 mm³
  EXPECT_TRUE(series.warnings.empty()) << all_lines(series.warnings);
}

TEST_F(CohortScan, AMissingCohortIsAnErrorOfTheJobFile) {
  options_.path = folder_ / "nowhere";
  options_.where = "job.yaml:3:9";
  try {
    scan();
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.code(), ExitCode::config);
    const std::string message = error.what();
    EXPECT_EQ(message.find("job.yaml:3:9: cohort.path = " + (folder_ / "nowhere").string()), 0u) << message;
    EXPECT_NE(message.find("no such folder"), std::string::npos) << message;
  }
}

TEST_F(CohortScan, ACohortThatIsAFileIsAnInputError) {
  options_.path = folder_.write("file", "x");
  expect_refused({"file: is not a folder"});
}

TEST_F(CohortScan, NoSeriesIsAnError) {
  fs::remove_all(folder_ / "sub-01");
  expect_refused({folder_.path().string(), "no perfusion series"});
}

TEST_F(CohortScan, RefusesVolumesAndShortSeries) {
  NiftiBuilder builder = good_series();
  builder.dim = {4, 3, 2};
  add("01", builder);
  expect_refused({"sub-01_dsc.nii.gz", "4 x 3 x 2", "single volume", "at least 10 frames"});
  builder.dim = {4, 3, 2, 9};
  add("01", builder);
  expect_refused({"4 x 3 x 2 x 9", "9 frames", "at least 10 frames"});
  builder.dim = {4, 3, 2, 1, 10};
  add("01", builder);
  EXPECT_TRUE(has_line(only_series().warnings, {"sub-01_dsc.nii.gz", "lasts 15 s", "bolus"}));
}

TEST_F(CohortScan, ReportsTheFindingsOfAllSeriesAtOnce) {
  NiftiBuilder builder = good_series();
  builder.datatype = 32;
  add("02", builder, R"({"EchoTime": 30})");
  add("03", good_series(), R"({"RepetitionTime": "1.5", "EchoTime": 0.03})");
  folder_.write(perf("04") + "_dsc.nii.gz", "not a NIfTI");
  scan();
  EXPECT_TRUE(has_line(findings_.lines(), {"sub-02_dsc.nii.gz", "complex"})) << all_lines(findings_.lines());
  EXPECT_TRUE(has_line(findings_.lines(), {"sub-02_dsc.json", "EchoTime = 30", "milliseconds?"}))
      << all_lines(findings_.lines());
  EXPECT_TRUE(has_line(findings_.lines(), {"sub-03_dsc.json", "\"1.5\""})) << all_lines(findings_.lines());
  EXPECT_TRUE(has_line(findings_.lines(), {"sub-04_dsc.nii.gz", "not gzip"})) << all_lines(findings_.lines());
  EXPECT_EQ(findings_.lines().size(), 4u) << all_lines(findings_.lines());
}

TEST_F(CohortScan, SkipLeavesBadSeriesOutWithTheirReason) {
  add("02", good_series(), "{}");
  folder_.write("sub-03/perf/sub-9_dsc.nii", "");
  options_.on_error = "skip";
  const Cohort cohort = scan();
  EXPECT_TRUE(findings_.empty()) << all_lines(findings_.lines());
  ASSERT_EQ(cohort.series.size(), 1u);
  EXPECT_EQ(cohort.series[0].name, "sub-01");
  ASSERT_EQ(cohort.skipped.size(), 2u);
  EXPECT_EQ(cohort.skipped[0].name, "sub-02");
  EXPECT_NE(cohort.skipped[0].reason.find("no echo time"), std::string::npos) << cohort.skipped[0].reason;
  EXPECT_NE(cohort.skipped[1].reason.find("does not match its folder"), std::string::npos) << cohort.skipped[1].reason;
}

TEST_F(CohortScan, SkipIsAnErrorWhenAllAreBad) {
  add("01", good_series(), "{}");
  options_.on_error = "skip";
  const Cohort cohort = scan();
  EXPECT_TRUE(has_line(findings_.lines(), {"sub-01_dsc.nii.gz", "no echo time"})) << all_lines(findings_.lines());
  EXPECT_TRUE(cohort.skipped.empty());
}

TEST_F(CohortScan, PatientsAreChosenByAnyOfTheirNames) {
  add("02");
  add("03");
  folder_.write("sub-04/ses-a/perf/sub-04_ses-a_dsc.json", good_sidecar);
  good_series().write(folder_, "sub-04/ses-a/perf/sub-04_ses-a_dsc.nii");
  options_.patients = {{"03", "", {}}, {"sub-01", "", {}}, {"04", "", {}}};
  const Cohort cohort = scan();
  EXPECT_TRUE(findings_.empty()) << all_lines(findings_.lines());
  ASSERT_EQ(cohort.series.size(), 3u);
  EXPECT_EQ(cohort.series[0].name, "sub-01");
  EXPECT_EQ(cohort.series[1].name, "sub-03");
  EXPECT_EQ(cohort.series[2].name, "sub-04_ses-a");
  EXPECT_TRUE(cohort.skipped.empty()) << "not chosen is not skipped";
}

TEST_F(CohortScan, AnUnknownPatientIsAnErrorThatListsThoseThereAre) {
  add("02");
  options_.patients = {{"01", "job.yaml:5:7", {}}, {"7", "job.yaml:6:7", {}}};
  try {
    scan();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::config) << "the job file is wrong, not the data";
    EXPECT_TRUE(has_line({error.what()},
                         {"job.yaml:6:7", "\"7\"", "not in " + folder_.path().string(), "there are: sub-01, sub-02"}))
        << error.what();
  }
  EXPECT_TRUE(findings_.empty());
}

TEST_F(CohortScan, OverridesForAllThenForThePatientThenForTheSession) {
  for (const std::string session : {"ses-a", "ses-b"}) {
    folder_.write("sub-02/" + session + "/perf/sub-02_" + session + "_dsc.json", good_sidecar);
    good_series().write(folder_, "sub-02/" + session + "/perf/sub-02_" + session + "_dsc.nii");
  }
  options_.overrides.repetition_time = 2.0;
  options_.overrides.echo_time = 0.02;
  options_.overrides.baseline = 5;
  PatientOverrides session, subject;
  session.repetition_time = 4.0;
  subject.repetition_time = 3.0;
  subject.echo_time = 0.025;
  options_.patients = {{"sub-02_ses-b", "", session}, {"02", "", subject}, {"01", "", {}}};
  const Cohort cohort = scan();
  EXPECT_TRUE(findings_.empty()) << all_lines(findings_.lines());
  ASSERT_EQ(cohort.series.size(), 3u);
  const double repetition[] = {2.0, 3.0, 4.0}, echo[] = {0.02, 0.025, 0.025};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(cohort.series[i].repetition_time, repetition[i]) << cohort.series[i].name;
    EXPECT_EQ(cohort.series[i].echo_time, echo[i]) << cohort.series[i].name;
    EXPECT_EQ(cohort.series[i].baseline_frames, 5);
  }
}

TEST_F(CohortScan, CtAndConcentrationsNeedNoEchoTime) {
  add("01", good_series(), R"({"RepetitionTime": 1.5})");
  expect_refused({"no echo time"});
  options_.overrides.modality = Modality::ct;
  EXPECT_EQ(only_series().modality, Modality::ct);
  options_.overrides.modality.reset();
  options_.overrides.kind = SeriesKind::concentration;
  EXPECT_EQ(only_series().kind, SeriesKind::concentration);
}

TEST_F(CohortScan, BaselineMustBeShorterThanTheSeries) {
  options_.overrides.baseline = 40;
  expect_refused({"sub-01_dsc.nii.gz", "baseline = 40", "has 40", "fewer"});
  options_.overrides.baseline = 39;
  EXPECT_EQ(only_series().baseline_frames, 39);
}

TEST_F(CohortScan, MasksMustLieOnTheGridOfTheSeries) {
  NiftiBuilder mask = good_mask();
  mask.dim = {4, 3, 3};
  add_mask(mask);
  expect_refused(
      {"sub-01_desc-brain_mask.nii.gz", "mask not on the grid of sub-01_dsc.nii.gz", "4 x 3 x 3 against 4 x 3 x 2"});
  mask = good_mask();
  mask.srow[7] += 0.5;
  add_mask(mask);
  expect_refused({"sub-01_desc-brain_mask.nii.gz", "corners 0.5 mm apart", "allowed: 0.1 mm", "resample"});
  mask = good_mask();
  mask.srow[7] += 0.05;
  add_mask(mask);
  only_series();
  mask = good_mask();
  mask.dim = {4, 3, 2, 2};
  add_mask(mask);
  expect_refused({"sub-01_desc-brain_mask.nii.gz", "2 frames", "three dimensions"});
}

TEST_F(CohortScan, MasksMustBeFiniteAndNotEmpty) {
  NiftiBuilder mask = good_mask();
  mask.value = [](std::size_t) { return 0.0; };
  add_mask(mask);
  expect_refused({"sub-01_desc-brain_mask.nii.gz", "mask is empty", "above 0.5"});
  mask.datatype = 16;
  mask.value = [](std::size_t) { return 0.5; };
  add_mask(mask);
  expect_refused({"mask is empty"});
  mask.value = [](std::size_t i) { return i == 3 ? std::nan("") : 1.0; };
  add_mask(mask);
  expect_refused({"sub-01_desc-brain_mask.nii.gz", "1 voxels of the mask are not finite"});
}

TEST_F(CohortScan, MaskModes) {
  options_.mask_mode = "file";
  EXPECT_TRUE(only_series().mask.empty()) << "that there is none is for the import stage to judge";
  NiftiBuilder empty = good_mask();
  empty.value = [](std::size_t) { return 0.0; };
  add_mask(empty);
  for (const char* mode : {"compute", "none"}) {
    options_.mask_mode = mode;
    EXPECT_TRUE(only_series().mask.empty()) << "a mask that is not used is not looked at";
  }
  options_.mask_mode = "file";
  options_.overrides.mask = NamedFile{good_mask().write(folder_, "elsewhere/m.nii"), "cohort.mask (job.yaml:4:9)"};
  EXPECT_EQ(only_series().mask, folder_ / "elsewhere/m.nii");
  options_.overrides.mask->path = folder_ / "missing.nii";
  expect_refused({"missing.nii", "No such file", "named by cohort.mask (job.yaml:4:9)"});
}

TEST_F(CohortScan, AifTablesMustCoverTheSeries) {
  folder_.write(perf("01") + "_aif.tsv", "time_s\tvalue\n0\t0\n30\t5\n");  // the series runs to 58.5 s
  expect_refused({"sub-01_aif.tsv", "from 0 to 30 s", "from 0 to 58.5 s"});
  options_.overrides.aif = NamedFile{folder_.write("aif.tsv", "time_s\tvalue\n0\t0\n58\tx\n"), "cohort.aif"};
  expect_refused({"/aif.tsv", "line 3", "value = x"});
  folder_.write("aif.tsv", "time_s\tvalue\n0\t0\n58\t1\n");
  EXPECT_EQ(only_series().aif, folder_ / "aif.tsv");
}

TEST_F(CohortScan, MapsMustLieOnTheGridOfTheSeries) {
  NiftiBuilder map = good_mask();
  map.dim = {4, 3, 3};
  for (const std::string what : {"truth", "target"}) {
    const auto path = map.write(folder_, perf("01") + "_desc-" + what + "_mtt.nii.gz");
    expect_refused({path.filename().string(), what + " map not on the grid"});
    fs::remove(path);
  }
}

TEST_F(CohortScan, GeometryWarningsAreKeptWithTheSeries) {
  NiftiBuilder builder = good_series();
  builder.sform_code = 0;
  add("01", builder);
  EXPECT_TRUE(has_line(only_series().warnings, {"sub-01_dsc.nii.gz", "voxel sizes alone"}));
}

TEST_F(CohortScan, SubjectsWithoutASeriesWarn) {
  fs::create_directories(folder_ / "sub-02/anat");
  const Cohort cohort = scan();
  EXPECT_TRUE(findings_.empty());
  EXPECT_TRUE(has_line(cohort.warnings, {"sub-02", "no series"})) << all_lines(cohort.warnings);
}

TEST_F(CohortScan, ADanglingLinkIsAnError) {
  fs::create_directories(folder_ / "sub-02/perf");
  fs::create_symlink("nowhere", folder_ / "sub-02/perf/sub-02_dsc.nii.gz");
  expect_refused({"sub-02_dsc.nii.gz", "symbolic link", "cannot be opened"});
}

TEST_F(CohortScan, NamesMustBeUtf8) {
  good_series().write(folder_, "sub-\xff/perf/sub-\xff_dsc.nii");
  expect_refused({"not valid UTF-8", "rename"});
}

TEST(CohortScanLayouts, IslesSeventeenTakesItsTimesFromTheFifthDimensionAndTheJobFile) {
  const TempFolder folder;
  NiftiBuilder builder = good_series();
  builder.dim = {4, 3, 2, 1, 40};
  builder.pixdim = {1, 2, 2, 5, 0, 1.4, 0, 0};
  builder.write(folder, "training_1/VSD.Brain.XX.O.MR_4DPWI.1/VSD.Brain.XX.O.MR_4DPWI.1.nii");
  CohortOptions options;
  options.path = folder.path();
  Findings findings;
  std::vector<Series> unusable;
  scan_cohort(options, findings, unusable);
  EXPECT_TRUE(
      has_line(findings.lines(), {"VSD.Brain.XX.O.MR_4DPWI.1.nii", "no echo time", "cohort.echo_time", "cancels"}))
      << all_lines(findings.lines());
  options.overrides.echo_time = 0.03;
  options.patients = {{"training_1", "", {}}};
  Findings none;
  const Cohort cohort = scan_cohort(options, none, unusable);
  ASSERT_TRUE(none.empty()) << all_lines(none.lines());
  EXPECT_EQ(cohort.layout, "isles17");
  ASSERT_EQ(cohort.series.size(), 1u);
  EXPECT_EQ(cohort.series[0].name, "sub-training1");
  EXPECT_NEAR(cohort.series[0].repetition_time, 1.4, 1e-6);  // float32 header
}

TEST(CohortScanLayouts, VendorMapsOnAnotherGridAreLeftOutWithAWarning) {
  const TempFolder folder;
  const std::string session = "raw_data/sub-stroke0001/ses-01/";
  good_series().write(folder, session + "sub-stroke0001_ses-01_ctp.nii.gz");
  NiftiBuilder map = good_mask();
  map.write(folder, session + "perfusion-maps/sub-stroke0001_ses-01_cbf.nii.gz");
  map.dim = {8, 6, 2};
  map.write(folder, session + "perfusion-maps/sub-stroke0001_ses-01_tmax.nii.gz");
  CohortOptions options;
  options.path = folder.path();
  Findings findings;
  std::vector<Series> unusable;
  const Cohort cohort = scan_cohort(options, findings, unusable);
  ASSERT_TRUE(findings.empty()) << all_lines(findings.lines());
  ASSERT_EQ(cohort.series.size(), 1u);
  const Series& series = cohort.series[0];
  EXPECT_EQ(series.modality, Modality::ct);
  EXPECT_FALSE(series.target[index(Parameter::cbf)].empty());
  EXPECT_TRUE(series.target[index(Parameter::tmax)].empty());
  EXPECT_TRUE(has_line(series.warnings, {"_tmax.nii.gz", "not on the grid", "the map is not used"}))
      << all_lines(series.warnings);
}

}  // namespace
}  // namespace perfpipe
