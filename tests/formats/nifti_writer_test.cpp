#include "formats/nifti_geometry.hpp"
#include "formats/nifti_image.hpp"
#include "tests/formats/nifti_builder.hpp"

#include <cmath>
#include <csignal>
#include <numeric>
#include <sys/resource.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

NiftiHeader header_of(const fs::path& path) { return NiftiReader(path).info().header; }

std::vector<float> values_of(const fs::path& path) {
  NiftiReader reader(path);
  std::vector<float> values;
  reader.read_slab(0, reader.extent()[2], values);
  return values;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// A 5D series as ISLES'17 has it, with both transforms, milliseconds and qfac -1.
NiftiBuilder unusual_series() {
  NiftiBuilder builder;
  builder.dim = {4, 3, 2, 1, 12};
  builder.pixdim = {-1, 2, 3, 5, 0, 1500, 0, 0};
  builder.xyzt_units = 2 | 16;
  builder.qform_code = 1;
  builder.sform_code = 4;
  builder.quaternion = {0.5, 0.5, 0.5, 1.5, 2.5, 3.5};
  builder.srow = {0, 0.25, 5, 1, 2, 0, 0, 2, 0, 3, 0.5, 3};  // sheared, as a registered series may be
  return builder;
}

void expect_geometry_of(const NiftiHeader& found, const NiftiHeader& like) {
  EXPECT_EQ(found.qform_code, like.qform_code);
  EXPECT_EQ(found.sform_code, like.sform_code);
  EXPECT_EQ(found.srow, like.srow);
  EXPECT_EQ(found.quatern_b, like.quatern_b);
  EXPECT_EQ(found.quatern_c, like.quatern_c);
  EXPECT_EQ(found.quatern_d, like.quatern_d);
  EXPECT_EQ(found.qoffset_x, like.qoffset_x);
  EXPECT_EQ(found.qoffset_y, like.qoffset_y);
  EXPECT_EQ(found.qoffset_z, like.qoffset_z);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(found.pixdim[i], like.pixdim[i]) << i;
  EXPECT_EQ(found.stored_frame_distance(), like.stored_frame_distance());
  EXPECT_EQ(found.xyzt_units, like.xyzt_units);
}

TEST(NiftiWriter, VolumesKeepValuesGeometryUnitsAndTime) {
  const TempFolder folder;
  const NiftiHeader like = header_of(unusual_series().write(folder, "series.nii"));
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), -3.25f);
  for (const char* name : {"map.nii", "map.nii.gz"}) {
    write_nifti_volume(folder / name, values, like, "CBF in ml/100g/min");
    Findings findings;
    std::vector<std::string> warnings;
    const auto info = check_nifti_file(folder / name, findings, warnings);
    ASSERT_TRUE(info) << all_lines(findings.lines());
    EXPECT_TRUE(warnings.empty()) << all_lines(warnings);
    EXPECT_EQ(info->header.dim, (std::array<std::int64_t, 8>{3, 4, 3, 2, 1, 1, 1, 1}));
    EXPECT_EQ(info->header.datatype, NiftiType::float32);
    EXPECT_EQ(info->header.descrip, "CBF in ml/100g/min");
    expect_geometry_of(info->header, like);
    EXPECT_EQ(values_of(folder / name), values);
  }
  EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"map.nii", "map.nii.gz", "series.nii"}));
}

TEST(NiftiWriter, MasksAreBytes) {
  const TempFolder folder;
  const NiftiHeader like = header_of(unusual_series().write(folder, "series.nii"));
  std::vector<std::uint8_t> mask(24, 0);
  mask[5] = mask[23] = 1;
  write_nifti_volume(folder / "mask.nii.gz", mask, like, "");
  EXPECT_EQ(header_of(folder / "mask.nii.gz").datatype, NiftiType::uint8);
  EXPECT_EQ(values_of(folder / "mask.nii.gz"), std::vector<float>(mask.begin(), mask.end()));
}

TEST(NiftiWriter, SeriesKeepTheOrderOfVoxelsAndFrames) {
  const TempFolder folder;
  const Affine affine = centred_affine({4, 3, 2}, {2, 2, 5});
  const NiftiHeader like = make_nifti_header({4, 3, 2}, 12, 1.5, affine);
  std::vector<float> values(24 * 12);
  std::iota(values.begin(), values.end(), 0.0f);
  write_nifti_series(folder / "series.nii.gz", values, like, "simulated");
  EXPECT_EQ(values_of(folder / "series.nii.gz"), values);
  const NiftiHeader header = header_of(folder / "series.nii.gz");
  EXPECT_EQ(header.dim, (std::array<std::int64_t, 8>{4, 4, 3, 2, 12, 1, 1, 1}));
  EXPECT_DOUBLE_EQ(header.frame_distance_s().value(), 1.5);
  expect_geometry_of(header, like);
}

TEST(NiftiWriter, ASeriesCopiedFromFiveDimensionsKeepsItsFrameDistance) {
  const TempFolder folder;
  const auto source = unusual_series().write(folder, "series.nii");
  write_nifti_series(folder / "copy.nii", values_of(source), header_of(source), "");
  EXPECT_EQ(values_of(folder / "copy.nii"), values_of(source));
  EXPECT_DOUBLE_EQ(header_of(folder / "copy.nii").frame_distance_s().value(), 1.5);
  expect_geometry_of(header_of(folder / "copy.nii"), header_of(source));
}

TEST(NiftiWriter, NiftiTwoGeometryIsRoundedToFloat) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.version = 2;
  builder.srow[3] = 0.1;
  const NiftiHeader like = header_of(builder.write(folder, "two.nii"));
  write_nifti_volume(folder / "map.nii", std::vector<float>(24, 1.0f), like, "");
  EXPECT_EQ(header_of(folder / "map.nii").srow[0][3], static_cast<double>(0.1f));
}

TEST(NiftiWriter, TheSameValuesGiveTheSameBytesUnderAnyNameAndTime) {
  const TempFolder folder;
  const NiftiHeader like = make_nifti_header({4, 3, 2}, 1, 0.0, centred_affine({4, 3, 2}, {1, 1, 1}));
  const std::vector<float> values(24, 2.5f);
  write_nifti_volume(folder / "a.nii.gz", values, like, "same");
  write_nifti_volume(folder / "b.nii.gz", values, like, "same");
  const std::string bytes = file_bytes(folder / "a.nii.gz");
  EXPECT_EQ(bytes, file_bytes(folder / "b.nii.gz"));
  EXPECT_EQ(bytes.substr(3, 5), std::string(5, '\0')) << "no flags (no name) and a time of 0";
}

TEST(NiftiWriter, ReplacesAnOlderFile) {
  const TempFolder folder;
  folder.write("a.nii", "older");
  const NiftiHeader like = make_nifti_header({2, 1, 1}, 1, 0.0, centred_affine({2, 1, 1}, {1, 1, 1}));
  write_nifti_volume(folder / "a.nii", std::vector<float>{1.0f, 2.0f}, like, "");
  EXPECT_EQ(values_of(folder / "a.nii"), (std::vector<float>{1.0f, 2.0f}));
}

TEST(NiftiWriter, WritesNonFiniteValuesAsTheyAre) {
  const TempFolder folder;
  const NiftiHeader like = make_nifti_header({2, 1, 1}, 1, 0.0, centred_affine({2, 1, 1}, {1, 1, 1}));
  write_nifti_volume(folder / "a.nii", std::vector<float>{std::nanf("0"), -HUGE_VALF}, like, "");
  const auto values = values_of(folder / "a.nii");
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], -HUGE_VALF);
}

/// Lets no file of this process grow beyond some bytes, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(NiftiWriter, AFullDiskIsAnErrorThatNamesTheFileAndLeavesNothing) {
  const TempFolder folder;
  folder.write("map.nii", "older");
  const NiftiHeader like = make_nifti_header({100, 100, 10}, 1, 0.0, centred_affine({100, 100, 10}, {1, 1, 1}));
  std::vector<float> values(100000);
  std::iota(values.begin(), values.end(), 0.5f);
  for (const char* name : {"map.nii", "map.nii.gz"}) {
    std::string message;
    {
      const FileSizeLimit limit(20000);
      try {
        write_nifti_volume(folder / name, values, like, "");
      } catch (const IoError& error) {
        message = error.what();
      }
    }
    EXPECT_NE(message.find((folder / name).string()), std::string::npos) << message;
    EXPECT_NE(message.find("of 400352 bytes could be written"), std::string::npos) << message;
  }
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"map.nii"});
  EXPECT_EQ(file_bytes(folder / "map.nii"), "older");
}

TEST(NiftiWriter, AFolderThatIsNotThereIsAnError) {
  const TempFolder folder;
  const NiftiHeader like = make_nifti_header({2, 1, 1}, 1, 0.0, centred_affine({2, 1, 1}, {1, 1, 1}));
  try {
    write_nifti_volume(folder / "nowhere/a.nii", std::vector<float>{1.0f, 2.0f}, like, "");
    FAIL() << "no error";
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find("nowhere/a.nii: cannot be created: No such file"), std::string::npos)
        << error.what();
  }
}

TEST(NiftiWriter, RefusesAWrongNumberOfValues) {
  const TempFolder folder;
  const NiftiHeader like = make_nifti_header({2, 1, 1}, 12, 1.0, centred_affine({2, 1, 1}, {1, 1, 1}));
  EXPECT_THROW(write_nifti_volume(folder / "a.nii", std::vector<float>(3), like, ""), std::invalid_argument);
  EXPECT_THROW(write_nifti_series(folder / "a.nii", std::vector<float>(2), like, ""), std::invalid_argument);
}

}  // namespace
}  // namespace perfpipe
