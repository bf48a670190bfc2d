#include "formats/nifti_image.hpp"
#include "tests/formats/nifti_builder.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// Stored values 0, 1, 2, ... in the file's order (t, z, y, x), as (z, y, x, t) through `map`.
std::vector<float> expected(std::int64_t nx, std::int64_t ny, std::int64_t z_first, std::int64_t z_count,
                            std::int64_t nz, std::int64_t frames, const std::function<double(std::size_t)>& map) {
  std::vector<float> values;
  for (std::int64_t voxel = z_first * ny * nx; voxel < (z_first + z_count) * ny * nx; ++voxel)
    for (std::int64_t t = 0; t < frames; ++t)
      values.push_back(static_cast<float>(map(static_cast<std::size_t>(t * nz * ny * nx + voxel))));
  return values;
}

double small_value(std::size_t i) { return static_cast<double>(i % 101); }

TEST(NiftiReader, ReadsEveryTypeByteOrderAndVersion) {
  const TempFolder folder;
  for (const int type : {2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280})
    for (const bool big_endian : {false, true})
      for (const int version : {1, 2}) {
        NiftiBuilder builder;
        builder.dim = {3, 4, 2, 11};
        builder.datatype = type;
        builder.big_endian = big_endian;
        builder.version = version;
        builder.value = small_value;
        NiftiReader reader(builder.write(folder, "a.nii"));
        std::vector<float> values;
        reader.read_slab(0, 2, values);
        EXPECT_EQ(values, expected(3, 4, 0, 2, 2, 11, small_value)) << type << " " << big_endian << " " << version;
      }
}

TEST(NiftiReader, ReadsTheEndsOfTheIntegerTypes) {
  const TempFolder folder;
  const std::vector<std::tuple<int, double, double>> ends{{256, -128, 127},
                                                          {4, -32768, 32767},
                                                          {8, -2147483648.0, 2147483520.0},
                                                          {768, 0, 4294967040.0},
                                                          {1024, -0x1p63, 0x1p62},
                                                          {1280, 0, 0x1p63 * 1.5},
                                                          {512, 0, 65535},
                                                          {2, 0, 255}};
  for (const auto& [type, low, high] : ends) {
    NiftiBuilder builder;
    builder.dim = {2, 1, 1};
    builder.datatype = type;
    builder.value = [low = low, high = high](std::size_t i) { return i == 0 ? low : high; };
    NiftiReader reader(builder.write(folder, "a.nii"));
    std::vector<float> values;
    reader.read_slab(0, 1, values);
    EXPECT_EQ(values, (std::vector<float>{static_cast<float>(low), static_cast<float>(high)})) << type;
  }
}

TEST(NiftiReader, GivesTheSameValuesSlabBySlab) {
  const TempFolder folder;
  // 40 frames: more than the block of frames that are turned together; 33·35 voxels: more than the block of voxels.
  for (const auto& dim : {std::vector<std::int64_t>{33, 35, 5, 40}, std::vector<std::int64_t>{33, 35, 5, 1, 40}})
    for (const char* name : {"a.nii", "a.nii.gz"}) {
      NiftiBuilder builder;
      builder.dim = dim;
      builder.datatype = 4;
      builder.scl_slope = 0.25;
      builder.scl_inter = -10;
      builder.value = [](std::size_t i) { return static_cast<double>(i % 32749); };
      const auto scaled = [&](std::size_t i) { return builder.value(i) * 0.25 - 10; };
      NiftiReader reader(builder.write(folder, name));
      EXPECT_EQ(reader.frames(), 40);
      EXPECT_EQ(reader.extent(), (std::array<std::int64_t, 3>{33, 35, 5}));
      std::vector<float> values;
      for (const auto& [first, count] : {std::pair<std::int64_t, std::int64_t>{0, 5}, {3, 2}, {0, 1}, {1, 3}, {4, 1}}) {
        reader.read_slab(first, count, values);
        EXPECT_EQ(values, expected(33, 35, first, count, 5, 40, scaled)) << name << " from slice " << first;
      }
    }
}

TEST(NiftiReader, ScalesOnceAndTakesSlopeZeroAsUnscaled) {
  const TempFolder folder;
  for (const int codes : {0, 1}) {
    NiftiBuilder builder;
    builder.sform_code = codes;
    builder.datatype = 8;
    builder.value = [](std::size_t) { return 16777217.0; };  // not a float32: must not be rounded before it is scaled
    builder.scl_slope = 2.0;
    builder.scl_inter = -33554432.0;
    std::vector<float> values;
    NiftiReader(builder.write(folder, "a.nii")).read_slab(0, 2, values);
    EXPECT_EQ(values, std::vector<float>(24, 2.0f));
    builder.scl_slope = 0.0;
    NiftiReader(builder.write(folder, "a.nii")).read_slab(0, 2, values);
    EXPECT_EQ(values, std::vector<float>(24, 16777216.0f));
    builder.scl_slope = 1e-17;
    builder.scl_inter = 0;
    NiftiReader(builder.write(folder, "a.nii")).read_slab(0, 2, values);
    EXPECT_FLOAT_EQ(values[0], 1.6777217e-10f);
  }
}

TEST(NiftiReader, KeepsNonFiniteValuesForTheChecksThatCountThem) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.dim = {3, 1, 1};
  builder.value = [](std::size_t i) { return i == 0 ? std::nan("") : i == 1 ? HUGE_VAL : 1.0; };
  std::vector<float> values;
  NiftiReader(builder.write(folder, "a.nii")).read_slab(0, 1, values);
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_TRUE(std::isinf(values[1]));
  EXPECT_EQ(values[2], 1.0f);
}

TEST(NiftiReader, DataMayStartLate) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.vox_offset = 400;
  std::string bytes = builder.bytes();
  bytes.insert(352, std::string(48, 'x'));  // a header extension
  std::vector<float> values;
  NiftiReader(folder.write("a.nii", bytes)).read_slab(0, 2, values);
  EXPECT_EQ(values, expected(4, 3, 0, 2, 2, 1, builder.value));
}

TEST(NiftiReader, FailsWithTheFilesNameWhenItEndsEarly) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.dim = {4, 3, 2, 10};
  const std::string bytes = builder.bytes();
  const auto path = folder.write("a.nii.gz", gzip(bytes.substr(0, bytes.size() - 8)));
  NiftiReader reader(path);  // the header alone is right
  std::vector<float> values;
  try {
    reader.read_slab(0, 2, values);
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find(path.string() + ": ends inside frame 10 of 10"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(NiftiReader(folder / "missing.nii"), Error);
}

TEST(NiftiReader, RefusesSlicesThatAreNotThere) {
  const TempFolder folder;
  NiftiReader reader(NiftiBuilder().write(folder, "a.nii"));
  std::vector<float> values;
  EXPECT_THROW(reader.read_slab(1, 2, values), std::out_of_range);
  EXPECT_THROW(reader.read_slab(-1, 1, values), std::out_of_range);
  EXPECT_THROW(reader.read_slab(0, 0, values), std::out_of_range);
}

TEST(NiftiReader, SlicesWithinAMemoryBudget) {
  const TempFolder folder;
  NiftiBuilder builder;
  builder.dim = {10, 10, 6, 20};  // 8000 bytes a slice as float32
  NiftiReader reader(builder.write(folder, "a.nii"));
  EXPECT_EQ(reader.slices_within(1), 1);
  EXPECT_EQ(reader.slices_within(17000), 2);
  EXPECT_EQ(reader.slices_within(1 << 20), 6);
}

TEST(NiftiReader, ReadsTheSameFromTheInflatedCopy) {
  const TempFolder folder;
  NiftiBuilder image;
  image.dim = {7, 5, 6, 40};  // three blocks of frames
  const auto file = image.write(folder, "a.nii.gz");
  NiftiReader compressed(file), inflated(file);
  std::filesystem::create_directory(folder / "scratch");
  inflated.inflate_into(folder / "scratch");
  EXPECT_TRUE(std::filesystem::is_empty(folder / "scratch")) << "the copy has a name";
  std::vector<float> expected, found;
  for (const std::int64_t z : {4, 0, 2}) {
    compressed.read_slab(z, 2, expected);
    inflated.read_slab(z, 2, found, 3);
    EXPECT_EQ(found, expected);
  }
  EXPECT_NE(std::count(expected.begin(), expected.end(), expected.front()),
            static_cast<std::ptrdiff_t>(expected.size()));
}

TEST(NiftiReader, DamageIsSeenWhenInflating) {
  const TempFolder folder;
  NiftiBuilder image;
  image.dim = {7, 5, 6, 40};
  const auto file = image.write(folder, "a.nii.gz");
  std::string bytes = file_bytes(file);
  bytes[bytes.size() - 6] ^= 1;  // the CRC
  folder.write("a.nii.gz", bytes);
  NiftiReader reader(file);
  EXPECT_THROW(reader.inflate_into(folder.path()), InputError);
  EXPECT_THROW(NiftiReader(image.write(folder, "b.nii.gz")).inflate_into(folder / "missing"), IoError);
}

}  // namespace
}  // namespace perfpipe
