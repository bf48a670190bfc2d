// What the store writes chunk by chunk is what HDF5 would have written, and the other way round.
#include "core/chunk_io.hpp"

#include "core/fletcher32.hpp"
#include "core/random.hpp"
#include "core/store.hpp"
#include "tests/temp_folder.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

/// HDF5's own loop (H5_checksum_fletcher32), word by word.
std::uint32_t fletcher32_of_hdf5(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t plain = 0, weighted = 0;
  std::size_t since_fold = 0;
  const auto fold = [&] {
    plain = (plain & 0xffff) + (plain >> 16);
    weighted = (weighted & 0xffff) + (weighted >> 16);
    since_fold = 0;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    plain += static_cast<std::uint32_t>(bytes[i] << 8) | (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
    weighted += plain;
    if (++since_fold == 360) fold();
  }
  fold();
  fold();
  return weighted << 16 | plain;
}

TEST(Fletcher32, EqualsHdf5sOwnLoop) {
  Random random(1, "fletcher");
  for (const std::size_t size : {0u, 1u, 2u, 3u, 255u, 511u, 512u, 514u, 1023u, 4096u, 65535u, 262144u}) {
    std::vector<std::uint8_t> bytes(size);
    EXPECT_EQ(fletcher32(bytes), fletcher32_of_hdf5(bytes)) << size << " zeros";
    for (auto& b : bytes) b = 0xff;
    EXPECT_EQ(fletcher32(bytes), fletcher32_of_hdf5(bytes)) << size << " ones";
    for (auto& b : bytes) b = static_cast<std::uint8_t>(256.0 * random.uniform());
    EXPECT_EQ(fletcher32(bytes), fletcher32_of_hdf5(bytes)) << size;
  }
}

class ChunkIo : public testing::Test {
 protected:
  // 37 rows of 2,900 floats are cut into chunks of 22 rows, the last of which hangs over the edge.
  static constexpr std::int64_t slices = 4, rows = 37, columns = 29, samples = 100;
  DatasetSpec spec_{"curves", {"z", "y", "x", "t"}, "1"};
  TempFolder folder_;
  fs::path file_ = folder_ / "a.h5";

  ChunkIo() {
    values_.resize(slices * rows * columns * samples);
    std::iota(values_.begin(), values_.end(), 1.0f);
    std::fill_n(values_.begin() + rows * columns * samples, rows * columns * samples, 0.0f);  // a slice of zeros
    ArtifactWriter writer(file_, "key", nullptr);
    writer.create(spec_, {slices, rows, columns, samples});
    const std::span<const float> all(values_);
    writer.write_slab<float>("curves", 0, all.first(all.size() / slices));
    writer.write_slab<float>("curves", 1, all.subspan(all.size() / slices));
    writer.commit();
  }
  std::vector<float> values_;
};

TEST_F(ChunkIo, Hdf5ReadsWhatWasWritten) {
  const Hdf5File file(H5Fopen(file_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  const Hdf5Dataset dataset(H5Dopen2(file.get(), "curves", H5P_DEFAULT));
  const auto chunks = SliceChunks::of(dataset.get(), sizeof(float));
  ASSERT_TRUE(chunks);
  EXPECT_EQ(chunks->slice_bytes(), rows * columns * samples * sizeof(float));
  EXPECT_FALSE(SliceChunks::of(dataset.get(), sizeof(double)));
  std::vector<float> found(values_.size(), -1.0f);
  ASSERT_GE(H5Dread(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, found.data()), 0);
  EXPECT_EQ(found, values_);
  // Three slices of two chunks; the slice of zeros takes no place.
  EXPECT_EQ(H5Dget_storage_size(dataset.get()), 3u * 2 * (22 * columns * samples * sizeof(float) + 4));
}

TEST_F(ChunkIo, ChunksOfZerosAreReadThoughTheyAreNotThere) {
  EXPECT_EQ(ArtifactReader(file_).read<float>("curves"), values_);
}

TEST_F(ChunkIo, WhatHdf5WroteIsRead) {
  {
    const Hdf5File file(H5Fopen(file_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
    const Hdf5Dataset dataset(H5Dopen2(file.get(), "curves", H5P_DEFAULT));
    for (auto& v : values_) v += 0.5f;
    ASSERT_GE(H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values_.data()), 0);
  }
  const Hdf5File file(H5Fopen(file_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  const Hdf5Dataset dataset(H5Dopen2(file.get(), "curves", H5P_DEFAULT));
  const auto chunks = SliceChunks::of(dataset.get(), sizeof(float));
  ASSERT_TRUE(chunks);
  std::vector<float> found(values_.size() / 2);
  chunks->read(1, 2, reinterpret_cast<std::uint8_t*>(found.data()), file_, "curves");
  EXPECT_TRUE(std::equal(found.begin(), found.end(), values_.begin() + static_cast<std::ptrdiff_t>(found.size() / 2)));
}

}  // namespace
}  // namespace perfpipe
