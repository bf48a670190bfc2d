// NIfTI files, times and sidecars that are wrong (exit code 3), and those that only warn.
#include "tests/e2e/bad_input.hpp"

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

using BadImage = BadInput;

// ---- NIfTI. ----

TEST_F(BadImage, TruncatedFiles) {
  const std::string whole = small_series().bytes();
  folder_.write(stem_of("sub-01") + "_dsc.nii", whole.substr(0, whole.size() - 100));
  folder_.write(stem_of("sub-01") + "_dsc.json", small_sidecar);
  const std::string packed = gzip(whole);
  folder_.write(stem_of("sub-02") + "_dsc.nii.gz", packed.substr(0, packed.size() / 2));
  folder_.write(stem_of("sub-03") + "_dsc.nii.gz", gzip(whole.substr(0, whole.size() / 2)));
  folder_.write(stem_of("sub-04") + "_dsc.nii", whole.substr(0, 200));
  folder_.write(stem_of("sub-05") + "_dsc.nii", "");
  const auto result = run();
  EXPECT_TRUE(refused(
      result, {"sub-01_dsc.nii", std::to_string(whole.size() - 100), std::to_string(whole.size()), "truncated"}));
  EXPECT_TRUE(says(result, {"sub-02_dsc.nii.gz", "gzip stream ends early", "truncated"}));
  EXPECT_TRUE(says(result, {"sub-03_dsc.nii.gz", std::to_string(whole.size() / 2), "truncated"}));
  EXPECT_TRUE(says(result, {"sub-04_dsc.nii", "200 bytes", "348", "truncated"}));
  EXPECT_TRUE(says(result, {"sub-05_dsc.nii", "0 bytes", "348"}));
}

TEST_F(BadImage, GzipThatIsNotWhatItSays) {
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

TEST_F(BadImage, HeadersThatCannotBe) {
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

TEST_F(BadImage, PairsOfHeaderAndImage) {
  folder_.write(stem_of("sub-01") + "_dsc.hdr", small_series().bytes().substr(0, 348));
  folder_.write(stem_of("sub-01") + "_dsc.img", "data");
  EXPECT_TRUE(refused(run(), {"sub-01_dsc.hdr", "single-file NIfTI", "convert"}));
}

TEST_F(BadImage, MemoryIsNotTakenOnAHeadersWord) {
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

TEST_F(BadImage, VolumesShortSeriesAndShapes) {
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

TEST_F(BadImage, FiveDimensionsAsInIsles17AreFine) {
  NiftiBuilder image = small_series();
  image.dim = {16, 16, 2, 1, 45};
  image.pixdim = {1, 4, 4, 5, 99, 1.5, 0, 0};
  write_patient(folder_, "sub-01", image, "{\"EchoTime\": 0.03}");
  EXPECT_TRUE(ended(run(), 0));
}

TEST_F(BadImage, GeometryThatCannotBeUsed) {
  NiftiBuilder image = small_series();
  image.srow[0] = nan;
  image.pixdim[1] = 0;
  expect_refused(image, {"sform_code = 1", "qform_code = 0", "pixdim", "no usable geometry"});
}

TEST_F(BadImage, GeometryThatFallsBackWarns) {
  NiftiBuilder image = small_series();
  image.srow[0] = nan;
  write_patient(folder_, "sub-01", image);
  expect_warned({"sub-01_dsc.nii", "sform_code = 1", "voxel sizes alone"});
}

// ---- Times. ----

TEST_F(BadImage, RepetitionTimes) {
  expect_sidecar_refused("{\"RepetitionTime\": 0, \"EchoTime\": 0.03}", {"RepetitionTime = 0", "0.1 to 10 s"});
  expect_sidecar_refused("{\"RepetitionTime\": -1.5, \"EchoTime\": 0.03}", {"RepetitionTime = -1.5", "0.1 to 10 s"});
  expect_sidecar_refused("{\"RepetitionTime\": 1500, \"EchoTime\": 0.03}",
                         {"RepetitionTime = 1500", "0.1 to 10 s", "milliseconds"});
  NiftiBuilder image = small_series();
  image.xyzt_units = 2;
  expect_refused(image, {"xyzt_units = 2", "RepetitionTime", "cohort.repetition_time"}, "{\"EchoTime\": 0.03}");
  image = small_series();
  image.pixdim[4] = 0;
  expect_refused(image, {"repetition time = 0", "RepetitionTime", "cohort.repetition_time"}, "{\"EchoTime\": 0.03}");
}

TEST_F(BadImage, EchoTimes) {
  expect_refused(small_series(),
                 {"no echo time", "cancels where the AIF comes from the same image", "cohort.echo_time"},
                 "{\"RepetitionTime\": 1.5}");
  expect_sidecar_refused("{\"RepetitionTime\": 1.5, \"EchoTime\": 30}",
                         {"EchoTime = 30", "0.001 to 0.2 s", "milliseconds"});
  expect_sidecar_refused("{\"RepetitionTime\": 1.5, \"EchoTime\": 0}", {"EchoTime = 0", "0.001 to 0.2 s"});
  expect_sidecar_refused("{\"RepetitionTime\": 1.5, \"EchoTime\": -0.03}", {"EchoTime = -0.03", "0.001 to 0.2 s"});
  EXPECT_TRUE(ended(run({"--set", "cohort.echo_time=0.03", "--dry-run"}), 3)) << "a sidecar that is wrong stays wrong";
  write_patient(folder_, "sub-01", small_series(), "{\"RepetitionTime\": 1.5}");
  EXPECT_TRUE(ended(run({"--set", "cohort.echo_time=0.03"}), 0));
}

TEST_F(BadImage, VolumeTimings) {
  std::string times = "0";
  for (int t = 1; t < 45; ++t) times += ", " + std::to_string(1.5 * t);
  expect_sidecar_refused("{\"VolumeTiming\": [" + times + "], \"RepetitionTime\": 1.5, \"EchoTime\": 0.03}",
                         {"both RepetitionTime and VolumeTiming"});
  expect_sidecar_refused("{\"VolumeTiming\": [0, 1.5, 1.5], \"EchoTime\": 0.03}",
                         {"VolumeTiming[2] = 1.5", "strictly increasing"});
  expect_sidecar_refused("{\"VolumeTiming\": [0, 1.5, 3.0], \"EchoTime\": 0.03}",
                         {"VolumeTiming has 3 times", "45 frames"});
  expect_sidecar_refused("{\"VolumeTiming\": 1.5, \"EchoTime\": 0.03}", {"VolumeTiming = 1.5", "list of times"});
  write_patient(folder_, "sub-01", small_series(), "{\"VolumeTiming\": [" + times + "], \"EchoTime\": 0.03}");
  EXPECT_TRUE(ended(run(), 0));
}

TEST_F(BadImage, Sidecars) {
  expect_sidecar_refused("[1.5]", {"JSON object"});
  expect_sidecar_refused("{\"RepetitionTime\": 1.5,", {"not valid JSON"});
  expect_sidecar_refused("{\"RepetitionTime\": \"1.5\", \"EchoTime\": 0.03}",
                         {"RepetitionTime = \"1.5\"", "number", "without quotes"});
  expect_sidecar_refused("{\"EchoTime\": 0.03, \"RepetitionTime\": 1.5, \"EchoTime\": 0.04}",
                         {"\"EchoTime\"", "more than once"});
  write_patient(folder_, "sub-01", small_series(),
                "\xEF\xBB\xBF{\"RepetitionTime\": 1.5, \"EchoTime\": 0.03, \"Manufacturer\": {\"x\": [1]}}");
  EXPECT_TRUE(ended(run(), 0));
}

// ---- Warnings that must not stop. ----

TEST_F(BadImage, HeaderAndSidecarThatDisagreeWarn) {
  write_patient(folder_, "sub-01", small_series(), "{\"RepetitionTime\": 1.6, \"EchoTime\": 0.03}");
  expect_warned({"sub-01_dsc.json", "RepetitionTime = 1.6", "1.5 s", "sidecar is used"});
}

TEST_F(BadImage, SeriesUnderThirtySecondsWarn) {
  write_patient(folder_, "sub-01", small_series(), "{\"RepetitionTime\": 0.6, \"EchoTime\": 0.03}");
  expect_warned({"sub-01_dsc.nii", "27 s (45 frames)", "30 s"});
}

TEST_F(BadImage, BytesAfterTheDataWarn) {
  NiftiBuilder image = small_series();
  image.after = "12345";
  write_patient(folder_, "sub-01", image);
  expect_warned({"sub-01_dsc.nii", "5 bytes after the data"});
  fs::remove_all(folder_ / "cohort");
  write_patient(folder_, "sub-01", image, small_sidecar, ".nii.gz");
  expect_warned({"sub-01_dsc.nii.gz", "5 bytes after the data"});
}

TEST_F(BadImage, SubjectFolderWithoutASeriesWarns) {
  write_patient(folder_, "sub-01", small_series());
  fs::create_directories(folder_ / "cohort/sub-02/anat");
  const std::vector<std::string> pieces{"sub-02", "no series", "left out"};
  EXPECT_TRUE(ended(run(), 0, pieces));
  EXPECT_TRUE(has_line(lines_of(file_bytes(folder_ / "out/logs/rank-000.jsonl")), pieces)) << "not in the log";
}

}  // namespace
}  // namespace perfpipe
