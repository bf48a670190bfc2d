#include "formats/nifti_file.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <sys/stat.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  std::optional<NiftiFileInfo> info;
  Findings findings;
  std::vector<std::string> warnings;
};

Outcome check(const fs::path& path, GzipCheck depth = GzipCheck::whole) {
  Outcome outcome;
  outcome.info = check_nifti_file(path, outcome.findings, outcome.warnings, depth);
  return outcome;
}

void expect_refused(const fs::path& path, std::vector<std::string> pieces) {
  const Outcome outcome = check(path);
  EXPECT_FALSE(outcome.info);
  pieces.push_back(path.string());
  EXPECT_TRUE(has_line(outcome.findings.lines(), pieces)) << all_lines(outcome.findings.lines());
}

TEST(NiftiFile, TakesPlainAndCompressedFilesOfBothVersionsAndByteOrders) {
  const TempFolder folder;
  for (const char* name : {"a.nii", "a.nii.gz"})
    for (const int version : {1, 2})
      for (const bool big_endian : {false, true}) {
        NiftiBuilder builder;
        builder.version = version;
        builder.big_endian = big_endian;
        const Outcome outcome = check(builder.write(folder, name));
        ASSERT_TRUE(outcome.info) << all_lines(outcome.findings.lines());
        EXPECT_TRUE(outcome.warnings.empty()) << all_lines(outcome.warnings);
        EXPECT_EQ(outcome.info->gzipped, std::string(name).ends_with(".gz"));
        EXPECT_EQ(outcome.info->header.extent(), (std::array<std::int64_t, 3>{4, 3, 2}));
        EXPECT_EQ(outcome.info->affine[0][3], -4.0);
      }
}

TEST(NiftiFile, FollowsSymbolicLinks) {
  const TempFolder folder;
  NiftiBuilder().write(folder, "real.nii.gz");
  fs::create_symlink("real.nii.gz", folder / "link.nii.gz");
  EXPECT_TRUE(check(folder / "link.nii.gz").info);
}

TEST(NiftiFile, RefusesWhatIsNoRegularFile) {
  const TempFolder folder;
  fs::create_directory(folder / "folder.nii");
  expect_refused(folder / "folder.nii", {"is a folder", "expected a regular file"});
  ASSERT_EQ(::mkfifo((folder / "fifo.nii").c_str(), 0600), 0);
  expect_refused(folder / "fifo.nii", {"is a FIFO"});  // and does not wait for a writer
  fs::create_symlink("nowhere", folder / "link.nii");
  expect_refused(folder / "link.nii", {"symbolic link", "No such file"});
  expect_refused(folder / "missing.nii", {"cannot be opened", "No such file"});
  expect_refused(folder.write("empty.nii", ""), {"holds 0 bytes"});
}

TEST(NiftiFile, RefusesAPairByItsName) {
  const TempFolder folder;
  expect_refused(folder.write("a.hdr", NiftiBuilder().bytes()), {"neither .nii nor .nii.gz", "convert"});
}

TEST(NiftiFile, RefusesANameThatContradictsItsContent) {
  const TempFolder folder;
  expect_refused(folder.write("a.nii.gz", NiftiBuilder().bytes()), {"named .gz", "not gzip-compressed", "rename"});
  expect_refused(folder.write("b.nii", gzip(NiftiBuilder().bytes())), {"is gzip-compressed", ".nii.gz"});
}

TEST(NiftiFile, RefusesFilesShorterThanTheirHeaderSays) {
  const TempFolder folder;
  const std::string bytes = NiftiBuilder().bytes();  // 352 + 4·3·2·4 = 448
  for (const char* name : {"a.nii", "a.nii.gz"}) {
    const std::string cut = bytes.substr(0, bytes.size() - 1);
    expect_refused(folder.write(name, std::string(name).ends_with("gz") ? gzip(cut) : cut),
                   {"holds 447 bytes", "4 x 3 x 2", "asks for 448", "truncated"});
  }
}

TEST(NiftiFile, RefusesVoxOffsetPastTheEnd) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.vox_offset = 1e6;
  expect_refused(builder.write(folder, "a.nii"), {"vox_offset = 1000000", "past the end (448 bytes)"});
}

TEST(NiftiFile, TakesNoMemoryOnTheWordOfAHeader) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.datatype = 64;
  std::string bytes = builder.bytes();
  for (std::size_t i = 1; i <= 4; ++i) {
    const std::int16_t huge = 32767;
    std::memcpy(bytes.data() + 40 + 2 * i, &huge, 2);
  }
  const std::int16_t four = 4;
  std::memcpy(bytes.data() + 40, &four, 2);
  // 32767^4 · 8 + 352 is just under 2^63: with a larger vox_offset the sum would not fit into 64 bits.
  expect_refused(folder.write("a.nii", bytes), {"asks for 9222246188486492520", "truncated"});
  expect_refused(folder.write("a.nii.gz", gzip(bytes)), {"asks for 9222246188486492520", "truncated"});
}

TEST(NiftiFile, WarnsOfBytesAfterTheData) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.after = "12345";
  for (const char* name : {"a.nii", "a.nii.gz"}) {
    const Outcome outcome = check(builder.write(folder, name));
    EXPECT_TRUE(outcome.info);
    EXPECT_TRUE(has_line(outcome.warnings, {name, "5 bytes after the data"})) << all_lines(outcome.warnings);
  }
  const Outcome outcome = check(folder.write("b.nii.gz", gzip(NiftiBuilder().bytes()) + "123"));
  EXPECT_TRUE(outcome.info);
  EXPECT_TRUE(has_line(outcome.warnings, {"b.nii.gz", "3 bytes after the gzip stream"})) << all_lines(outcome.warnings);
}

TEST(NiftiFile, RefusesADamagedGzipStreamUnlessOnlyTheHeaderIsAskedFor) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.dim = {32, 32, 10};
  std::string bytes = gzip(builder.bytes());
  const std::string whole = bytes;
  bytes[bytes.size() - 8] ^= 1;
  const auto path = folder.write("crc.nii.gz", bytes);
  expect_refused(path, {"damaged", "CRC", "copy the file again"});
  EXPECT_TRUE(check(path, GzipCheck::header).info);
  bytes = whole;
  bytes[bytes.size() - 1] ^= 1;
  expect_refused(folder.write("length.nii.gz", bytes), {"damaged", "length"});
  expect_refused(folder.write("cut.nii.gz", whole.substr(0, whole.size() - 4)), {"ends early", "truncated"});
  expect_refused(folder.write("short.nii.gz", whole.substr(0, 12)), {"ends early", "truncated"});
}

TEST(NiftiFile, ReportsHeaderFindingsUnderItsOwnName) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.datatype = 32;
  expect_refused(builder.write(folder, "complex.nii.gz"), {"datatype = 32", "complex"});
  NiftiBuilder nowhere;
  nowhere.sform_code = 0;
  nowhere.pixdim[1] = 0;
  expect_refused(nowhere.write(folder, "nowhere.nii"), {"no usable geometry"});
}

TEST(NiftiFile, GridsAreTheSameWithinATenthOfAMillimetre) {
  const TempFolder folder;
  NiftiBuilder builder;
  const auto info = check(builder.write(folder, "a.nii")).info.value();
  std::string difference;
  builder.srow[3] += 0.09;
  EXPECT_TRUE(same_nifti_grid(info, check(builder.write(folder, "b.nii")).info.value(), difference));
  builder.srow[3] += 0.02;
  EXPECT_FALSE(same_nifti_grid(info, check(builder.write(folder, "c.nii")).info.value(), difference));
  EXPECT_NE(difference.find("0.11 mm apart (allowed: 0.1 mm)"), std::string::npos) << difference;
  builder.dim = {4, 3, 3};
  EXPECT_FALSE(same_nifti_grid(info, check(builder.write(folder, "d.nii")).info.value(), difference));
  EXPECT_EQ(difference, "shape 4 x 3 x 2 against 4 x 3 x 3");
}

TEST(NiftiFile, StemsAndNames) {
  EXPECT_TRUE(has_nifti_name("x/a.nii"));
  EXPECT_TRUE(has_nifti_name("x/a.nii.gz"));
  EXPECT_FALSE(has_nifti_name("x/a.gz"));
  EXPECT_EQ(nifti_stem("x/a.b.nii.gz"), "a.b");
  EXPECT_EQ(nifti_stem("x/a.nii"), "a");
}

}  // namespace
}  // namespace perfpipe
