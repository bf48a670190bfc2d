// Patients' data that are wrong: exit code 3 before any work, every finding of every patient at once.
#include "tests/e2e/job_files.hpp"

#include <limits>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

class BadInput : public testing::Test {
 protected:
  BadInput() { folder_.write("job.yaml", maps_job); }

  CommandResult run(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), "job.yaml");
    return run_perfpipe(folder_, arguments, 30.0);
  }
  /// The run was refused, with one line of all these pieces, and has left nothing.
  testing::AssertionResult refused(const CommandResult& result, const std::vector<std::string>& pieces) {
    if (fs::exists(folder_ / "out")) return testing::AssertionFailure() << "a refused job has created its output";
    return ended(result, 3, pieces);
  }
  /// One patient, sub-01, of this image; refused with these pieces after the file's name.
  void expect_refused(const NiftiBuilder& image, std::vector<std::string> pieces, const std::string& sidecar = small_sidecar) {
    write_patient(folder_, "sub-01", image, sidecar);
    pieces.insert(pieces.begin(), "sub-01_dsc.nii");
    EXPECT_TRUE(refused(run(), pieces));
  }
  void expect_sidecar_refused(const std::string& sidecar, std::vector<std::string> pieces) {
    write_patient(folder_, "sub-01", small_series(), sidecar);
    pieces.insert(pieces.begin(), "sub-01_dsc.json");
    EXPECT_TRUE(refused(run(), pieces));
  }
  /// A warning that does not stop: on the terminal, in the log, in the maps' sidecars.
  void expect_warned(const std::vector<std::string>& pieces, const std::string& patient = "sub-01") {
    const auto result = run();
    EXPECT_TRUE(ended(result, 0, pieces));
    EXPECT_TRUE(has_line(lines_of(file_bytes(folder_ / "out/logs/rank-000.jsonl")), pieces)) << "not in the log";
    const auto sidecar = file_bytes(folder_ / ("out/derivatives/" + patient + "/perf/" + patient + "_desc-bsvd_cbf.json"));
    EXPECT_TRUE(has_line(lines_of(sidecar), pieces)) << "not in the map's sidecar:\n" << sidecar;
    fs::remove_all(folder_ / "out");
  }
  static NiftiBuilder mask() {
    NiftiBuilder image = small_series();
    image.dim = {16, 16, 2};
    image.datatype = 2;
    image.value = [](std::size_t i) {
      return std::hypot(static_cast<double>(i % 16) - 7.5, static_cast<double>(i / 16 % 16) - 7.5) < 7.0 ? 1.0 : 0.0;
    };
    return image;
  }
  void expect_mask_refused(const NiftiBuilder& image, std::vector<std::string> pieces) {
    write_patient(folder_, "sub-01", small_series());
    image.write(folder_, stem_of("sub-01") + "_desc-brain_mask.nii.gz");
    pieces.insert(pieces.begin(), "sub-01_desc-brain_mask.nii.gz");
    EXPECT_TRUE(refused(run(), pieces));
  }

  TempFolder folder_;
};

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
  EXPECT_TRUE(refused(run_command(perfpipe_words({"job.yaml"}), options), {"sub-01_dsc.nii", "Permission denied", "permissions"}));
}

TEST_F(BadInput, SymbolicLinksAreFollowed) {
  const auto image = write_patient(folder_, "sub-01", small_series());
  fs::rename(image, folder_ / "elsewhere.nii");
  fs::create_symlink(folder_ / "elsewhere.nii", image);
  EXPECT_TRUE(ended(run(), 0));
}

// ---- NIfTI. ----

TEST_F(BadInput, TruncatedFiles) {
  const std::string whole = small_series().bytes();
  folder_.write(stem_of("sub-01") + "_dsc.nii", whole.substr(0, whole.size() - 100));
  folder_.write(stem_of("sub-01") + "_dsc.json", small_sidecar);
  const std::string packed = gzip(whole);
  folder_.write(stem_of("sub-02") + "_dsc.nii.gz", packed.substr(0, packed.size() / 2));
  folder_.write(stem_of("sub-03") + "_dsc.nii.gz", gzip(whole.substr(0, whole.size() / 2)));
  folder_.write(stem_of("sub-04") + "_dsc.nii", whole.substr(0, 200));
  folder_.write(stem_of("sub-05") + "_dsc.nii", "");
  const auto result = run();
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", std::to_string(whole.size() - 100), std::to_string(whole.size()), "truncated"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii.gz", "gzip stream ends early", "truncated"}));
  EXPECT_TRUE(says(result, {"sub-03_dsc.nii.gz", std::to_string(whole.size() / 2), "truncated"}));
  EXPECT_TRUE(says(result, {"sub-04_dsc.nii", "200 bytes", "348", "truncated"}));
  EXPECT_TRUE(says(result, {"sub-05_dsc.nii", "0 bytes", "348"}));
}

TEST_F(BadInput, GzipThatIsNotWhatItSays) {
  const std::string whole = small_series().bytes();
  std::string wrong_crc = gzip(whole), wrong_length = wrong_crc;
  wrong_crc[wrong_crc.size() - 8] ^= 1;
  wrong_length[wrong_length.size() - 4] ^= 1;
  folder_.write(stem_of("sub-01") + "_dsc.nii.gz", wrong_crc);
  folder_.write(stem_of("sub-02") + "_dsc.nii.gz", wrong_length);
  folder_.write(stem_of("sub-03") + "_dsc.nii.gz", whole);
  folder_.write(stem_of("sub-04") + "_dsc.nii", gzip(whole));
  for (unsigned p = 1; p <= 4; ++p) folder_.write(stem_of("sub-0" + std::to_string(p)) + "_dsc.json", small_sidecar);
  const auto result = run();
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii.gz", "gzip stream is damaged", "CRC"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii.gz", "gzip stream is damaged", "length"}));
  EXPECT_TRUE(says(result, {"sub-03_dsc.nii.gz", "named .gz", "not gzip-compressed"}));
  EXPECT_TRUE(says(result, {"sub-04_dsc.nii", "gzip-compressed", "rename it to .nii.gz"}));
}

TEST_F(BadInput, HeadersThatCannotBe) {
  NiftiBuilder image = small_series();
  std::string wrong_size = image.bytes();
  wrong_size[0] = 17;
  folder_.write(stem_of("sub-01") + "_dsc.nii", wrong_size);
  folder_.write(stem_of("sub-01") + "_dsc.json", small_sidecar);
  const auto with = [&](const char* name, auto change) {
    NiftiBuilder other = small_series();
    change(other);
    write_patient(folder_, name, other);
  };
  with("sub-02", [](auto& i) { i.datatype = 32; });
  with("sub-03", [](auto& i) { i.datatype = 1536; });
  with("sub-04", [](auto& i) { i.datatype = 1; });
  with("sub-05", [](auto& i) { i.bitpix = 16; });
  with("sub-06", [](auto& i) { i.vox_offset = nan; });
  with("sub-07", [](auto& i) { i.vox_offset = 100; });
  with("sub-08", [](auto& i) { i.vox_offset = 1e7; });
  with("sub-09", [](auto& i) { i.scl_slope = nan; });
  with("sub-10", [](auto& i) { i.scl_inter = infinity; });
  with("sub-11", [](auto& i) { i.magic = "ni1"; });
  const auto result = run();
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "sizeof_hdr", "348"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii", "datatype = 32", "complex", "float32"}));
  EXPECT_TRUE(says(result, {"sub-03_dsc.nii", "datatype = 1536", "float128"}));
  EXPECT_TRUE(says(result, {"sub-04_dsc.nii", "datatype = 1 ", "binary"}));
  EXPECT_TRUE(says(result, {"sub-05_dsc.nii", "bitpix = 16", "32 bits"}));
  EXPECT_TRUE(says(result, {"sub-06_dsc.nii", "vox_offset = nan", "352"}));
  EXPECT_TRUE(says(result, {"sub-07_dsc.nii", "vox_offset = 100", "352"}));
  EXPECT_TRUE(says(result, {"sub-08_dsc.nii", "vox_offset = 10000000", "past the end"}));
  EXPECT_TRUE(says(result, {"sub-09_dsc.nii", "scl_slope = nan", "finite"}));
  EXPECT_TRUE(says(result, {"sub-10_dsc.nii", "scl_inter = inf", "finite"}));
  EXPECT_TRUE(says(result, {"sub-11_dsc.nii", "ni1", "pair"}));
}

TEST_F(BadInput, PairsOfHeaderAndImage) {
  folder_.write(stem_of("sub-01") + "_dsc.hdr", small_series().bytes().substr(0, 348));
  folder_.write(stem_of("sub-01") + "_dsc.img", "data");
  EXPECT_TRUE(refused(run(), {"sub-01_dsc.hdr", "single-file NIfTI", "convert"}));
}

TEST_F(BadInput, MemoryIsNotTakenOnAHeadersWord) {
  NiftiBuilder image = small_series();
  std::string huge = image.bytes();
  const std::int16_t most = 32767;
  for (const std::size_t dimension : {1u, 2u, 3u, 4u}) std::memcpy(huge.data() + 40 + 2 * dimension, &most, 2);
  folder_.write(stem_of("sub-01") + "_dsc.nii", huge);
  folder_.write(stem_of("sub-01") + "_dsc.json", small_sidecar);
  folder_.write(stem_of("sub-02") + "_dsc.nii.gz", gzip(huge));
  folder_.write(stem_of("sub-02") + "_dsc.json", small_sidecar);
  const auto result = run();
  // 4 * 32767^4 + 352
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "4611123094243246436", "truncated"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii.gz", "4611123094243246436", "truncated"}));
}

TEST_F(BadInput, VolumesShortSeriesAndShapes) {
  const auto with = [&](const char* name, std::vector<std::int64_t> dim) {
    NiftiBuilder image = small_series();
    image.dim = std::move(dim);
    write_patient(folder_, name, image);
  };
  with("sub-01", {16, 16, 2});
  with("sub-02", {16, 16, 2, 9});
  with("sub-03", {16, 16, 2, 3, 15});
  with("sub-04", {16, 16, 2, 0});
  const auto result = run();
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "16 x 16 x 2", "single volume", "at least 10"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii", "9 frames", "at least 10"}));
  EXPECT_TRUE(says(result, {"sub-03_dsc.nii", "16 x 16 x 2 x 3 x 15", "(X,Y,Z,1,T)"}));
  EXPECT_TRUE(says(result, {"sub-04_dsc.nii", "dim[4] = 0"}));
}

TEST_F(BadInput, FiveDimensionsAsInIsles17AreFine) {
  NiftiBuilder image = small_series();
  image.dim = {16, 16, 2, 1, 45};
  image.pixdim = {1, 4, 4, 5, 99, 1.5, 0, 0};
  write_patient(folder_, "sub-01", image, "{\"EchoTime\": 0.03}");
  EXPECT_TRUE(ended(run(), 0));
}

TEST_F(BadInput, GeometryThatCannotBeUsed) {
  NiftiBuilder image = small_series();
  image.srow[0] = nan;
  image.pixdim[1] = 0;
  expect_refused(image, {"sform_code = 1", "qform_code = 0", "pixdim", "no usable geometry"});
}

TEST_F(BadInput, GeometryThatFallsBackWarns) {
  NiftiBuilder image = small_series();
  image.srow[0] = nan;
  write_patient(folder_, "sub-01", image);
  expect_warned({"sub-01_dsc.nii", "sform_code = 1", "voxel sizes alone"});
}

// ---- Times. ----

TEST_F(BadInput, RepetitionTimes) {
  expect_sidecar_refused("{\"RepetitionTime\": 0, \"EchoTime\": 0.03}", {"RepetitionTime = 0", "0.1 to 10 s"});
  expect_sidecar_refused("{\"RepetitionTime\": -1.5, \"EchoTime\": 0.03}", {"RepetitionTime = -1.5", "0.1 to 10 s"});
  expect_sidecar_refused("{\"RepetitionTime\": 1500, \"EchoTime\": 0.03}", {"RepetitionTime = 1500", "0.1 to 10 s", "milliseconds"});
  NiftiBuilder image = small_series();
  image.xyzt_units = 2;
  expect_refused(image, {"xyzt_units = 2", "RepetitionTime", "cohort.repetition_time"}, "{\"EchoTime\": 0.03}");
  image = small_series();
  image.pixdim[4] = 0;
  expect_refused(image, {"repetition time = 0", "RepetitionTime", "cohort.repetition_time"}, "{\"EchoTime\": 0.03}");
}

TEST_F(BadInput, EchoTimes) {
  expect_refused(small_series(), {"no echo time", "cancels where the AIF comes from the same image", "cohort.echo_time"}, "{\"RepetitionTime\": 1.5}");
  expect_sidecar_refused("{\"RepetitionTime\": 1.5, \"EchoTime\": 30}", {"EchoTime = 30", "0.001 to 0.2 s", "milliseconds"});
  expect_sidecar_refused("{\"RepetitionTime\": 1.5, \"EchoTime\": 0}", {"EchoTime = 0", "0.001 to 0.2 s"});
  expect_sidecar_refused("{\"RepetitionTime\": 1.5, \"EchoTime\": -0.03}", {"EchoTime = -0.03", "0.001 to 0.2 s"});
  EXPECT_TRUE(ended(run({"--set", "cohort.echo_time=0.03", "--dry-run"}), 3)) << "a sidecar that is wrong stays wrong";
  write_patient(folder_, "sub-01", small_series(), "{\"RepetitionTime\": 1.5}");
  EXPECT_TRUE(ended(run({"--set", "cohort.echo_time=0.03"}), 0));
}

TEST_F(BadInput, VolumeTimings) {
  std::string times = "0";
  for (int t = 1; t < 45; ++t) times += ", " + std::to_string(1.5 * t);
  expect_sidecar_refused("{\"VolumeTiming\": [" + times + "], \"RepetitionTime\": 1.5, \"EchoTime\": 0.03}", {"both RepetitionTime and VolumeTiming"});
  expect_sidecar_refused("{\"VolumeTiming\": [0, 1.5, 1.5], \"EchoTime\": 0.03}", {"VolumeTiming[2] = 1.5", "strictly increasing"});
  expect_sidecar_refused("{\"VolumeTiming\": [0, 1.5, 3.0], \"EchoTime\": 0.03}", {"VolumeTiming has 3 times", "45 frames"});
  expect_sidecar_refused("{\"VolumeTiming\": 1.5, \"EchoTime\": 0.03}", {"VolumeTiming = 1.5", "list of times"});
  write_patient(folder_, "sub-01", small_series(), "{\"VolumeTiming\": [" + times + "], \"EchoTime\": 0.03}");
  EXPECT_TRUE(ended(run(), 0));
}

TEST_F(BadInput, Sidecars) {
  expect_sidecar_refused("[1.5]", {"JSON object"});
  expect_sidecar_refused("{\"RepetitionTime\": 1.5,", {"not valid JSON"});
  expect_sidecar_refused("{\"RepetitionTime\": \"1.5\", \"EchoTime\": 0.03}", {"RepetitionTime = \"1.5\"", "number", "without quotes"});
  expect_sidecar_refused("{\"EchoTime\": 0.03, \"RepetitionTime\": 1.5, \"EchoTime\": 0.04}", {"\"EchoTime\"", "more than once"});
  write_patient(folder_, "sub-01", small_series(), "\xEF\xBB\xBF{\"RepetitionTime\": 1.5, \"EchoTime\": 0.03, \"Manufacturer\": {\"x\": [1]}}");
  EXPECT_TRUE(ended(run(), 0));
}

// ---- Warnings that must not stop. ----

TEST_F(BadInput, HeaderAndSidecarThatDisagreeWarn) {
  write_patient(folder_, "sub-01", small_series(), "{\"RepetitionTime\": 1.6, \"EchoTime\": 0.03}");
  expect_warned({"sub-01_dsc.json", "RepetitionTime = 1.6", "1.5 s", "sidecar is used"});
}

TEST_F(BadInput, SeriesUnderThirtySecondsWarn) {
  write_patient(folder_, "sub-01", small_series(), "{\"RepetitionTime\": 0.6, \"EchoTime\": 0.03}");
  expect_warned({"sub-01_dsc.nii", "27 s (45 frames)", "30 s"});
}

TEST_F(BadInput, BytesAfterTheDataWarn) {
  NiftiBuilder image = small_series();
  image.after = "12345";
  write_patient(folder_, "sub-01", image);
  expect_warned({"sub-01_dsc.nii", "5 bytes after the data"});
  fs::remove_all(folder_ / "cohort");
  write_patient(folder_, "sub-01", image, small_sidecar, ".nii.gz");
  expect_warned({"sub-01_dsc.nii.gz", "5 bytes after the data"});
}

TEST_F(BadInput, SubjectFolderWithoutASeriesWarns) {
  write_patient(folder_, "sub-01", small_series());
  fs::create_directories(folder_ / "cohort/sub-02/anat");
  const std::vector<std::string> pieces{"sub-02", "no series", "left out"};
  EXPECT_TRUE(ended(run(), 0, pieces));
  EXPECT_TRUE(has_line(lines_of(file_bytes(folder_ / "out/logs/rank-000.jsonl")), pieces)) << "not in the log";
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
    expect_warned({"sub-01_dsc.nii", "have a sample that is not finite, zero or negative", "left out"});
  }
  expect_refused(spoiled(0.0, 1), {"(100 %)", "not finite, zero or negative", "at most 50 %"});
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
  EXPECT_TRUE(refused(result, {"sub-01_dsc.nii", "import.mask = file", "_desc-brain_mask.nii.gz", "import.mask: auto"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii", "import.mask = file"}));
}

TEST_F(BadInput, ArterialTables) {
  write_patient(folder_, "sub-01", small_series());
  const std::vector<std::string> file{"--set", "aif.method=file"};
  EXPECT_TRUE(refused(run(file), {"sub-01_dsc.nii", "aif.method = file", "_aif.tsv", "mouridsen"}));
  const auto table = [&](const std::string& text) { return folder_.write(stem_of("sub-01") + "_aif.tsv", text), run(file); };
  std::string rows;
  for (int t = 0; t < 45; ++t) rows += std::to_string(1.5 * t) + "\t" + std::to_string(t < 10 ? 0 : 50 - t) + "\n";
  EXPECT_TRUE(refused(table("time_s\tvalue\n0\t0\n10\t5\n"), {"sub-01_aif.tsv", "0 to 10 s", "from 0 to 66 s", "cover"}));
  EXPECT_TRUE(refused(table("time_s\tvalue\n0\tzero\n10\t5\n"), {"sub-01_aif.tsv", "line 2", "value = zero", "finite number"}));
  EXPECT_TRUE(refused(table("time_s\tvalue\n0\t0\n10\tnan\n"), {"sub-01_aif.tsv", "line 3", "value = nan", "finite number"}));
  EXPECT_TRUE(refused(table("time_s\tvalue\n0\t0\n10\t5\n10\t6\n"), {"sub-01_aif.tsv", "line 4", "strictly increasing"}));
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
  const auto manifest = json::parse(file_bytes(folder_ / "out/manifest.json"));
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

// ---- Other layouts. ----

TEST_F(BadInput, SessionsAreSeriesOfTheirOwnWithTheSessionInAllNames) {
  write_patient(folder_, "sub-01_ses-1", small_series(1));
  write_patient(folder_, "sub-01_ses-2", small_series(2));
  EXPECT_TRUE(ended(run(), 0));
  for (const char* session : {"ses-1", "ses-2"})
    EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-01" / session / "perf" / ("sub-01_" + std::string(session) + "_desc-bsvd_cbf.nii.gz"))) << session;
}

TEST_F(BadInput, FlatFolders) {
  small_series(1).write(folder_, "cohort/Alice.nii");
  folder_.write("cohort/Alice.json", small_sidecar);
  mask().write(folder_, "cohort/Alice_mask.nii.gz");
  small_series(2).write(folder_, "cohort/Bob.nii.gz");
  EXPECT_TRUE(refused(run(), {"Bob.nii.gz", "no echo time", "Bob.json"}));
  folder_.write("cohort/Bob.json", small_sidecar);
  EXPECT_TRUE(ended(run(), 0));
  for (const char* name : {"sub-Alice", "sub-Bob"})
    EXPECT_TRUE(fs::exists(folder_ / "out/derivatives" / name / "perf" / (std::string(name) + "_desc-bsvd_cbf.nii.gz"))) << name;
}

TEST_F(BadInput, Isles24WithTheVendorsMapsAsTargets) {
  // CT: HU that rise with the bolus; TE plays no part.
  NiftiBuilder image = small_series();
  image.value = [good = small_series().value](std::size_t i) {
    const double signal = good(i);
    return signal < 10.0 ? -1000.0 : 40.0 + (400.0 - signal) / 10.0;
  };
  const std::string session = "cohort/raw_data/sub-stroke0001/ses-01/";
  image.write(folder_, session + "sub-stroke0001_ses-01_ctp.nii.gz");
  fs::create_directories(folder_ / "cohort/raw_data/sub-stroke0002/ses-01");
  for (const char* map : {"cbf", "cbv", "mtt", "tmax"}) {
    NiftiBuilder vendor = mask();
    vendor.datatype = 16;
    vendor.write(folder_, session + "perfusion-maps/sub-stroke0001_ses-01_" + map + ".nii.gz");
  }
  const auto result = run({"--set", "bsvd_targets.method=file"});
  EXPECT_TRUE(ended(result, 0, {"sub-stroke0002/ses-01", "no series", "left out"}));
  EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-stroke0001/ses-01/perf/sub-stroke0001_ses-01_desc-target_cbf.nii.gz"));
}

TEST_F(BadInput, Isles17HasNoEchoTime) {
  NiftiBuilder image = small_series();
  image.dim = {16, 16, 2, 1, 45};
  image.pixdim = {1, 4, 4, 5, 0, 1.5, 0, 0};
  image.write(folder_, "cohort/training_1/VSD.Brain.XX.O.MR_4DPWI.127014/VSD.Brain.XX.O.MR_4DPWI.127014.nii");
  EXPECT_TRUE(refused(run(), {"MR_4DPWI.127014.nii", "no echo time", "cancels where the AIF comes from the same image", "cohort.echo_time"}));
  EXPECT_TRUE(ended(run({"--set", "cohort.echo_time=0.05"}), 0));
  EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-training1/perf/sub-training1_desc-bsvd_cbf.nii.gz"));
}

}  // namespace
}  // namespace perfpipe
