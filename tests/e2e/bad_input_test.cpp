// Patients' data that are wrong: exit code 3 before any work, every finding of every patient at once.
#include "tests/e2e/bad_input.hpp"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

// ---- Cohort. ----

TEST_F(BadInput, CohortWithoutAnySeries) {
  folder_.write("cohort/README", "nothing here");
  EXPECT_TRUE(refused(run(), {"cohort", "no perfusion series", "sub-X"}));
  fs::create_directories(folder_ / "cohort/sub-01/perf");
  EXPECT_TRUE(refused(run(), {"cohort", "no perfusion series", "layout bids"}));
}

TEST_F(BadInput, CohortThatIsAFileOrOfDicom) {
  folder_.write("cohort", "a file");
  EXPECT_TRUE(refused(run(), {"cohort", "is not a folder"}));
  fs::remove(folder_ / "cohort");
  folder_.write("cohort/patient/series/0001.dcm", std::string(128, '\0') + "DICM");
  EXPECT_TRUE(refused(run(), {"cohort", "DICOM", "dcm2niix"}));
}

TEST_F(BadInput, TwoSeriesForOneSessionAreListed) {
  write_patient(folder_, "sub-01", small_series());
  write_patient(folder_, "sub-01", small_series(), small_sidecar, ".nii.gz");
  EXPECT_TRUE(refused(run(), {"sub-01", "2 series", "sub-01_dsc.nii", "sub-01_dsc.nii.gz"}));
  fs::remove_all(folder_ / "cohort");
  for (const char* series : {"run-1", "run-2"})
    small_series().write(folder_, "cohort/sub-01/perf/sub-01_" + std::string(series) + "_dsc.nii");
  EXPECT_TRUE(refused(run(), {"sub-01", "2 series", "sub-01_run-1_dsc.nii", "sub-01_run-2_dsc.nii", "keep one"}));
}

TEST_F(BadInput, NameThatDoesNotMatchItsFolder) {
  write_small_cohort(folder_, 2);
  fs::rename(folder_ / (stem_of("sub-02") + "_dsc.nii"), folder_ / "cohort/sub-02/perf/sub-03_dsc.nii");
  EXPECT_TRUE(refused(run(), {"sub-03_dsc.nii", "does not match its folder", "sub-02_"}));
}

TEST_F(BadInput, FindingsOfSeveralPatientsAreToldAtOnce) {
  NiftiBuilder wrong_type = small_series(), constant = small_series();
  wrong_type.datatype = 128;
  constant.value = [](std::size_t) { return 100.0; };
  write_patient(folder_, "sub-01", wrong_type, "{\"RepetitionTime\": 1.5, \"EchoTime\": 30}");
  write_patient(folder_, "sub-02", small_series(), "{\"RepetitionTime\": 0, \"EchoTime\": 0.03}");
  write_patient(folder_, "sub-03", constant);
  write_patient(folder_, "sub-04", small_series());
  const auto result = run();
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "datatype = 128"}));
  EXPECT_TRUE(says(result, {"sub-01_dsc.json", "EchoTime = 30", "milliseconds"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.json", "RepetitionTime = 0"}));
  EXPECT_TRUE(says(result, {"sub-03_dsc.nii", "constant"}));
  EXPECT_FALSE(says(result, {"sub-04"}));
}

TEST_F(BadInput, FindingsAreTheSameUnderMpirun) {
  NiftiBuilder constant = small_series();
  constant.value = [](std::size_t) { return 100.0; };
  write_patient(folder_, "sub-01", constant);
  write_patient(folder_, "sub-02", constant);
  write_patient(folder_, "sub-03", small_series());
  const auto result = run_ranks(folder_, 3, {"job.yaml"}, 30.0);
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "constant"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii", "constant"}));
}

// ---- Files that are none. ----

TEST_F(BadInput, ImageThatIsAFolderAPipeOrADanglingLink) {
  for (unsigned p = 1; p <= 3; ++p) folder_.write(stem_of("sub-0" + std::to_string(p)) + "_dsc.json", small_sidecar);
  fs::create_directories(folder_ / (stem_of("sub-01") + "_dsc.nii"));
  ASSERT_EQ(::mkfifo((folder_ / (stem_of("sub-02") + "_dsc.nii")).c_str(), 0600), 0);
  fs::create_symlink("nowhere.nii", folder_ / (stem_of("sub-03") + "_dsc.nii"));
  const auto result = run();
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "is a folder"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii", "is a FIFO"}));
  EXPECT_TRUE(says(result, {"sub-03_dsc.nii", "symbolic link"}));
}

TEST_F(BadInput, CompanionsThatAreAFolderAPipeOrADanglingLink) {
  for (unsigned p = 1; p <= 3; ++p) write_patient(folder_, "sub-0" + std::to_string(p), small_series(), "");
  ASSERT_EQ(::mkfifo((folder_ / (stem_of("sub-01") + "_dsc.json")).c_str(), 0600), 0);
  folder_.write(stem_of("sub-02") + "_dsc.json", small_sidecar);
  ASSERT_EQ(::mkfifo((folder_ / (stem_of("sub-02") + "_desc-brain_mask.nii.gz")).c_str(), 0600), 0);
  folder_.write(stem_of("sub-03") + "_dsc.json", small_sidecar);
  fs::create_symlink("nowhere", folder_ / (stem_of("sub-03") + "_aif.tsv"));
  const auto result = run();
  EXPECT_TRUE(refused(result, {"sub-01_dsc.json", "FIFO"}));
  EXPECT_TRUE(says(result, {"sub-02_desc-brain_mask.nii.gz", "FIFO"}));
  EXPECT_TRUE(says(result, {"sub-03_aif.tsv", "symbolic link"}));
}

TEST_F(BadInput, ImageThatMayNotBeRead) {
  const auto image = write_patient(folder_, "sub-01", small_series());
  fs::permissions(folder_.path(), fs::perms::all);
  fs::permissions(image, fs::perms::none);
  auto options = options_in(folder_);
  options.as_nobody = true;
  EXPECT_TRUE(refused(run_command(perfpipe_words({"job.yaml"}), options),
                      {"sub-01_dsc.nii", "Permission denied", "permissions"}));
}

TEST_F(BadInput, SymbolicLinksAreFollowed) {
  const auto image = write_patient(folder_, "sub-01", small_series());
  fs::rename(image, folder_ / "elsewhere.nii");
  fs::create_symlink(folder_ / "elsewhere.nii", image);
  EXPECT_TRUE(ended(run(), 0));
}

// ---- Values. ----

TEST_F(BadInput, SamplesThatCannotBeUsed) {
  const auto spoiled = [](double value, std::size_t every) {
    NiftiBuilder image = small_series();
    image.value = [value, every, good = image.value](std::size_t i) {
      return i >= 512 && i < 1024 && i % every == 0 ? value : good(i);  // in the second frame
    };
    return image;
  };
  for (const double value : {nan, infinity, 0.0, -3.0}) {
    write_patient(folder_, "sub-01", spoiled(value, 20));
    expect_warned({"sub-01_dsc.nii", "have a sample that is not finite, zero, negative or saturated", "left out"});
  }
  expect_refused(spoiled(0.0, 1), {"(100 %)", "not finite, zero, negative or saturated", "at most 50 %"});
}

TEST_F(BadInput, SeriesWithoutABolus) {
  NiftiBuilder image = small_series();
  image.value = [](std::size_t) { return 100.0; };
  expect_refused(image, {"constant"});
  image.value = [](std::size_t) { return 0.0; };
  expect_refused(image, {"zero"});
  image.value = [good = small_series().value](std::size_t i) { return good(i % 512) + static_cast<double>(i % 7); };
  expect_refused(image, {"no bolus", "3 SD", "baseline"});
}

TEST_F(BadInput, Masks) {
  NiftiBuilder other = mask();
  other.dim = {16, 15, 2};
  expect_mask_refused(other, {"shape 16 x 15 x 2 against 16 x 16 x 2", "resample"});
  other = mask();
  other.srow[3] += 0.2;
  expect_mask_refused(other, {"corners 0.2 mm apart", "0.1 mm"});
  other = mask();
  other.dim = {16, 16, 2, 2};
  expect_mask_refused(other, {"2 frames", "three dimensions"});
  other = mask();
  other.value = [](std::size_t) { return 0.0; };
  expect_mask_refused(other, {"mask is empty", "0.5"});
  other = mask();
  other.datatype = 16;
  other.value = [inside = mask().value](std::size_t i) { return i == 100 ? nan : inside(i); };
  expect_mask_refused(other, {"not finite"});
  other = mask();
  other.srow[3] += 0.05;
  other.write(folder_, stem_of("sub-01") + "_desc-brain_mask.nii.gz");
  EXPECT_TRUE(ended(run({"--set", "import.mask=file"}), 0));
}

TEST_F(BadInput, MaskFileThatIsAskedForButNotThere) {
  write_small_cohort(folder_, 2);
  const auto result = run({"--set", "import.mask=file"});
  EXPECT_TRUE(
      refused(result, {"sub-01_dsc.nii", "import.mask = file", "_desc-brain_mask.nii.gz", "import.mask: auto"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii", "import.mask = file"}));
}

TEST_F(BadInput, ArterialTables) {
  write_patient(folder_, "sub-01", small_series());
  const std::vector<std::string> file{"--set", "aif.method=file"};
  EXPECT_TRUE(refused(run(file), {"sub-01_dsc.nii", "aif.method = file", "_aif.tsv", "mouridsen"}));
  const auto table = [&](const std::string& text) {
    return folder_.write(stem_of("sub-01") + "_aif.tsv", text), run(file);
  };
  std::string rows;
  for (int t = 0; t < 45; ++t) rows += std::to_string(1.5 * t) + "\t" + std::to_string(t < 10 ? 0 : 50 - t) + "\n";
  EXPECT_TRUE(
      refused(table("time_s\tvalue\n0\t0\n10\t5\n"), {"sub-01_aif.tsv", "0 to 10 s", "from 0 to 66 s", "cover"}));
  EXPECT_TRUE(
      refused(table("time_s\tvalue\n0\tzero\n10\t5\n"), {"sub-01_aif.tsv", "line 2", "value = zero", "finite number"}));
  EXPECT_TRUE(
      refused(table("time_s\tvalue\n0\t0\n10\tnan\n"), {"sub-01_aif.tsv", "line 3", "value = nan", "finite number"}));
  EXPECT_TRUE(
      refused(table("time_s\tvalue\n0\t0\n10\t5\n10\t6\n"), {"sub-01_aif.tsv", "line 4", "strictly increasing"}));
  EXPECT_TRUE(refused(table("time\tvalue\n" + rows), {"sub-01_aif.tsv", "time_s"}));
  EXPECT_TRUE(refused(table("time_s,value\n0,1\n"), {"sub-01_aif.tsv", "time_s"}));
  EXPECT_TRUE(refused(table(""), {"sub-01_aif.tsv", "0 rows"}));
  std::string crlf = "\xEF\xBB\xBF# made by hand\r\nvalue\tother\ttime_s\r\n";
  for (int t = 0; t < 45; ++t) crlf += std::to_string(t < 10 ? 0 : 50 - t) + "\tx\t" + std::to_string(1.5 * t) + "\r\n";
  EXPECT_TRUE(ended(table(crlf), 0));
}

TEST_F(BadInput, TargetsOfOtherSoftwareThatAreMissing) {
  write_patient(folder_, "sub-01", small_series());
  const auto result = run({"--set", "bsvd_targets.method=file"});
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "bsvd_targets.method = file", "desc-target_cbf"}));
  EXPECT_TRUE(says(result, {"sub-01_dsc.nii", "desc-target_tmax"}));
}

// ---- on_error: skip. ----

TEST_F(BadInput, SkippingLeavesBadPatientsOutAndListsThem) {
  NiftiBuilder constant = small_series(), wrong_type = small_series();
  constant.value = [](std::size_t) { return 100.0; };
  wrong_type.datatype = 32;
  write_patient(folder_, "sub-01", constant);
  write_patient(folder_, "sub-02", small_series(2));
  write_patient(folder_, "sub-03", wrong_type);
  const auto result = run({"--set", "cohort.on_error=skip"});
  EXPECT_TRUE(ended(result, 6, {"sub-01", "constant"}));
  EXPECT_TRUE(says(result, {"sub-03", "datatype = 32"}));
  EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-02/perf/sub-02_desc-bsvd_cbf.nii.gz"));
  EXPECT_FALSE(fs::exists(folder_ / "out/derivatives/sub-01"));
  const auto manifest = nlohmann::json::parse(file_bytes(folder_ / "out/manifest.json"));
  EXPECT_TRUE(has_line(manifest.at("failures").get<std::vector<std::string>>(), {"sub-01", "constant"}));
  EXPECT_TRUE(has_line(manifest.at("failures").get<std::vector<std::string>>(), {"sub-03", "datatype = 32"}));
  const auto again = run({"--set", "cohort.on_error=skip"});
  EXPECT_TRUE(ended(again, 6, {"sub-01", "constant"})) << "what is skipped is said each time";
  EXPECT_EQ(task_counts(again.err).to_run, 0);
}

TEST_F(BadInput, SkippingCoversWhatStagesNeed) {
  write_small_cohort(folder_, 2);
  mask().write(folder_, stem_of("sub-02") + "_desc-brain_mask.nii.gz");
  const auto result = run({"--set", "cohort.on_error=skip", "--set", "import.mask=file"});
  EXPECT_TRUE(ended(result, 6, {"sub-01", "import.mask = file"}));
  EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-02/perf/sub-02_desc-bsvd_cbf.nii.gz"));
}

TEST_F(BadInput, SkippingCoversWhatOnlyTheWorkFinds) {
  write_small_cohort(folder_, 4);
  for (unsigned p = 1; p <= 4; ++p) {
    std::string table = "time_s\tvalue\n";
    for (int t = 0; t < 60; ++t)  // that of sub-02 is positive only after the window of 70 s
      table += std::to_string(1.5 * t) + "\t" + std::to_string(p == 2 ? t - 50 : t < 10 ? 0 : 60 - t) + "\n";
    folder_.write(stem_of("sub-0" + std::to_string(p)) + "_aif.tsv", table);
  }
  folder_.write("job.yaml", cross_validation_job);
  const std::vector<std::string> pieces{"aif/sub-02", "sub-02_aif.tsv", "no positive value"};
  EXPECT_TRUE(ended(run({"--set", "aif.method=file", "--output", "stopped"}), 3, pieces));
  const auto result = run({"--set", "aif.method=file", "--set", "cohort.on_error=skip"});
  EXPECT_TRUE(ended(result, 6, pieces));
  const auto manifest = nlohmann::json::parse(file_bytes(folder_ / "out/manifest.json"));
  EXPECT_TRUE(has_line(manifest.at("failures").get<std::vector<std::string>>(), pieces));
  for (const char* file :
       {"weights/without-sub-01/tmax.safetensors", "derivatives/sub-03/perf/sub-03_desc-cnn_cbf.nii.gz",
        "tables/armse.csv", "report/index.html"})
    EXPECT_TRUE(fs::exists(folder_ / "out" / file)) << file;
  EXPECT_FALSE(fs::exists(folder_ / "out/derivatives/sub-02/perf/sub-02_desc-bsvd_cbf.nii.gz"));

  const auto made = [&] { return fs::last_write_time(folder_ / "out/store/training/fold-sub-01_tmax.h5"); };
  const auto before = made();
  EXPECT_TRUE(ended(run({"--set", "aif.method=file", "--set", "cohort.on_error=skip"}), 6, pieces));
  EXPECT_EQ(made(), before) << "a network that was trained without sub-02 is not trained without it again";
}

TEST_F(BadInput, AllFindingsAreToldAtOnceWhicheverLayerFindsThem) {
  write_small_cohort(folder_, 3);
  NiftiBuilder wrong_type = small_series();
  wrong_type.datatype = 32;
  write_patient(folder_, "sub-01", wrong_type);
  NiftiBuilder constant = small_series();
  constant.value = [](std::size_t) { return 100.0; };
  write_patient(folder_, "sub-02", constant);
  folder_.write(stem_of("sub-03") + "_aif.tsv", "time_s\tvalue\n0\t0\n90\t-1\n");
  const auto result = run({"--set", "aif.method=file", "--set", "import.mask=file"});
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "datatype = 32"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii", "constant"}));
  EXPECT_TRUE(says(result, {"sub-03_aif.tsv", "none of the 2 is above 0"}));
  for (const char* subject : {"sub-01", "sub-02", "sub-03"}) {
    EXPECT_TRUE(says(result, {std::string(subject) + "_dsc.nii", "import.mask = file"})) << subject;
    if (std::string(subject) != "sub-03") {
      EXPECT_TRUE(says(result, {std::string(subject) + "_dsc.nii", "aif.method = file"})) << subject;
    }
  }
}

TEST_F(BadInput, FilesThatTheJobNamesAreToldWithTheirKey) {
  write_small_cohort(folder_, 2);
  NiftiBuilder other = mask();
  other.dim[1] += 1;
  other.write(folder_, "other_mask.nii.gz");
  folder_.write("empty.tsv", "time_s\tvalue\n0\t0\n90\t0\n");
  const auto result =
      run({"--set", "cohort.patients.sub-01.mask=other_mask.nii.gz", "--set", "cohort.patients.sub-02.aif=empty.tsv"});
  EXPECT_TRUE(refused(result, {"other_mask.nii.gz", "not on the grid", "named by cohort.patients.sub-01.mask"}));
  EXPECT_TRUE(says(result, {"empty.tsv", "above 0", "named by cohort.patients.sub-02.aif", "--set"}));
}

TEST_F(BadInput, ReportShowsWarningsAndWhatWasSkippedAndWhy) {
  NiftiBuilder longer = small_series(), constant = small_series();
  longer.after = "12345";
  constant.value = [](std::size_t) { return 100.0; };
  write_patient(folder_, "sub-01", longer);
  fs::create_directories(folder_ / "cohort/sub-02");
  write_patient(folder_, "sub-03", constant);
  folder_.write("job.yaml", maps_job + std::string("  - report\n"));
  EXPECT_TRUE(ended(run({"--set", "cohort.on_error=skip"}), 6));
  const std::string report = file_bytes(folder_ / "out/report/index.html");
  for (const char* words : {"5 bytes after the data", "the subject is left out", "every voxel is constant in time"})
    EXPECT_NE(report.find(words), std::string::npos) << words;
}

TEST_F(BadInput, FailedTrainingsAreListedAndTheRestIsDone) {
  write_small_cohort(folder_, 3);
  folder_.write("job.yaml", cross_validation_job);
  const auto result = run({"--set", "training.learning_rate.tmax=10", "--set", "training.input_scale.tmax=1000"});
  EXPECT_TRUE(ended(result, 6, {"training/fold-sub-01_tmax", "not finite", "lower training.learning_rate"}));
  EXPECT_TRUE(says(result, {"parts failed"}));
  EXPECT_FALSE(fs::exists(folder_ / "out/weights/without-sub-01/tmax.safetensors"));
  EXPECT_TRUE(fs::exists(folder_ / "out/weights/without-sub-01/cbf.safetensors"));
  EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-01/perf/sub-01_desc-cnn_cbf.nii.gz"));
  EXPECT_FALSE(fs::exists(folder_ / "out/derivatives/sub-01/perf/sub-01_desc-cnn_tmax.nii.gz"));

  // Report and tables say what failed and why.
  const std::string report = file_bytes(folder_ / "out/report/index.html");
  EXPECT_NE(report.find("The training of Tmax without sub-01 failed: "), std::string::npos);
  EXPECT_NE(report.find("lower training.learning_rate"), std::string::npos);
  const auto trainings = lines_of(file_bytes(folder_ / "out/tables/trainings.csv"));
  EXPECT_EQ(trainings.size(), 13u) << "a heading, and 12 trainings that failed or not";
  EXPECT_TRUE(has_line(trainings, {"training,sub-01,tmax,", "not finite"}));
  const auto results = file_bytes(folder_ / "out/tables/results.json");
  EXPECT_NE(results.find("training/fold-sub-03_tmax"), std::string::npos);

  // What is mended leaves no trace of the failure.
  EXPECT_TRUE(ended(run({}), 0));
  EXPECT_EQ(file_bytes(folder_ / "out/report/index.html").find("failed: "), std::string::npos);
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out/store"))
    EXPECT_NE(entry.path().extension(), ".failed") << entry.path();
}

TEST_F(BadInput, SkippingEveryoneIsAnError) {
  NiftiBuilder constant = small_series(), wrong_type = small_series();
  constant.value = [](std::size_t) { return 100.0; };
  wrong_type.datatype = 32;
  write_patient(folder_, "sub-01", constant);
  write_patient(folder_, "sub-02", wrong_type);
  const auto result = run({"--set", "cohort.on_error=skip"});
  EXPECT_TRUE(refused(result, {"sub-01", "constant"}));
  EXPECT_TRUE(says(result, {"sub-02", "datatype = 32"}));
}

}  // namespace
}  // namespace perfpipe
