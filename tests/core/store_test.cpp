#include "core/store.hpp"

#include "core/hdf5_handle.hpp"
#include "tests/temp_folder.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

std::size_t files_below(const fs::path& folder) {
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) files += entry.is_regular_file();
  return files;
}

DatasetSpec map_dataset(const std::string& name = "cbf", ElementType type = ElementType::float32) {
  return {name, {"z", "y", "x"}, "ml/100g/min", type, "cerebral blood flow"};
}

std::vector<float> numbered(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.25f);
  return values;
}

/// An artifact with a map of [2, 3, 4], metadata and one published file.
fs::path write_example(const fs::path& file, const std::string& key = "key-1") {
  ArtifactWriter writer(file, key, {{"stage", "aif"}, {"version", 2}});
  writer.write<float>(map_dataset(), {2, 3, 4}, numbered(24));
  writer.set_metadata({{"label", "bsvd"}, {"times", {0.0, 1.5}}});
  writer.add_published({"derivatives/a.nii.gz", "abc"});
  writer.commit();
  return file;
}

std::string failure(const std::function<void()>& work) {
  try {
    work();
  } catch (const IoError& error) {
    return error.what();
  }
  return "no failure";
}

template <class T>
void round_trip(ElementType type, const std::vector<std::int64_t>& dims, const std::vector<T>& values) {
  const TempFolder folder;
  DatasetSpec spec{"values", std::vector<std::string>(dims.size(), "axis"), "1", type};
  ArtifactWriter writer(folder / "a.h5", "k", nullptr);
  writer.write<T>(spec, dims, values);
  writer.commit();
  const ArtifactReader reader(folder / "a.h5");
  EXPECT_EQ(reader.dims("values"), dims);
  EXPECT_EQ(reader.read<T>("values"), values);
}

TEST(Store, EveryTypeComesBackBitForBit) {
  round_trip<float>(ElementType::float32, {2, 2}, {1.1f, -0.0f, 1e-42f, std::numeric_limits<float>::infinity()});
  round_trip<double>(ElementType::float64, {3}, {0.1, 1.0 / 3.0, 1e-310});
  round_trip<std::uint8_t>(ElementType::uint8, {1, 2, 2}, {0, 1, 128, 255});
  round_trip<std::int32_t>(ElementType::int32, {2}, {INT32_MIN, INT32_MAX});
  round_trip<std::int32_t>(ElementType::int32, {0, 3}, {});
  round_trip<float>(ElementType::float32, {3, 7, 5, 11}, numbered(3 * 7 * 5 * 11));
  round_trip<std::uint8_t>(ElementType::uint8, {700'000}, std::vector<std::uint8_t>(700'000, 7));  // several chunks
}

TEST(Store, SlabsMayBeWrittenAndReadInAnyOrder) {
  const TempFolder folder;
  const auto values = numbered(5 * 6);
  ArtifactWriter writer(folder / "a.h5", "k", nullptr);
  writer.create({"map", {"z", "y", "x"}, "1"}, {5, 2, 3});
  writer.write_slab<float>("map", 3, std::span(values).subspan(18, 12));
  writer.write_slab<float>("map", 0, std::span(values).subspan(0, 18));
  writer.commit();
  const ArtifactReader reader(folder / "a.h5");
  EXPECT_EQ(reader.read<float>("map"), values);
  EXPECT_TRUE(std::ranges::equal(reader.read_slab<float>("map", 2, 2), std::span(values).subspan(12, 12)));
  EXPECT_TRUE(reader.read_slab<float>("map", 5, 0).empty());
}

TEST(Store, FactsComeBackWithTheData) {
  const TempFolder folder;
  const ArtifactReader reader(write_example(folder / "store/aif/sub-01.h5"));
  EXPECT_EQ(reader.path(), folder / "store/aif/sub-01.h5");
  EXPECT_EQ(reader.metadata().at("times"), nlohmann::json({0.0, 1.5}));
  EXPECT_EQ(reader.made_from().at("version"), 2);
  ASSERT_EQ(reader.published().size(), 1u);
  EXPECT_EQ(reader.published()[0].path, "derivatives/a.nii.gz");
  EXPECT_EQ(reader.published()[0].hash, "abc");
  EXPECT_TRUE(reader.has("cbf"));
  EXPECT_FALSE(reader.has("cbv"));
  const auto head = read_artifact_head(reader.path());
  ASSERT_TRUE(head);
  EXPECT_EQ(head->key, "key-1");
  EXPECT_EQ(head->bytes, fs::file_size(reader.path()));
  EXPECT_TRUE(artifact_is_intact(reader.path(), *head));
}

TEST(Store, APlainHdf5ProgramReadsIt) {
  const TempFolder folder;
  const auto path = write_example(folder / "a.h5");
  const Hdf5File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  const Hdf5Dataset dataset(H5Dopen2(file.get(), "cbf", H5P_DEFAULT));
  ASSERT_GE(dataset.get(), 0);
  const auto text = [&](const char* name) {
    const Hdf5Attribute attribute(H5Aopen(dataset.get(), name, H5P_DEFAULT));
    const Hdf5Type type(H5Aget_type(attribute.get()));
    std::string value(H5Tget_size(type.get()), '\0');
    H5Aread(attribute.get(), type.get(), value.data());
    return value;
  };
  EXPECT_EQ(text("units"), "ml/100g/min");
  EXPECT_EQ(text("long_name"), "cerebral blood flow");
  EXPECT_EQ(text("axes"), "z y x");
}

TEST(Store, NothingIsVisibleBeforeTheCommit) {
  const TempFolder folder;
  const auto path = folder / "a.h5";
  {
    ArtifactWriter writer(path, "k", nullptr);
    writer.write<float>(map_dataset(), {1, 1, 2}, numbered(2));
    EXPECT_FALSE(fs::exists(path));
    writer.commit();
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_EQ(files_below(folder.path()), 1u);
}

TEST(Store, AnExceptionLeavesTheOlderArtifactAndNoTemporary) {
  const TempFolder folder;
  const auto path = write_example(folder / "a.h5", "older");
  const auto bytes = file_bytes(path);
  try {
    ArtifactWriter writer(path, "newer", nullptr);
    writer.write<float>(map_dataset(), {1, 1, 2}, numbered(2));
    throw std::runtime_error("a task fails");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(file_bytes(path), bytes);
  EXPECT_EQ(files_below(folder.path()), 1u);
  write_example(path, "newer");
  EXPECT_EQ(read_artifact_head(path)->key, "newer");
  EXPECT_EQ(files_below(folder.path()), 1u);
}

TEST(Store, TheSameContentGivesTheSameBytes) {
  const TempFolder folder;
  const auto first = file_bytes(write_example(folder / "first.h5"));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5's time stamps count whole seconds
  EXPECT_EQ(file_bytes(write_example(folder / "second/other.h5")), first);
}

TEST(Store, RefusesWhatDoesNotFit) {
  const TempFolder folder;
  ArtifactWriter writer(folder / "a.h5", "k", nullptr);
  EXPECT_NE(failure([&] {
              writer.create(map_dataset(), {2, 3});
            }).find("'cbf' has axes (z, y, x) but 2 dims"),
            std::string::npos);
  writer.create(map_dataset(), {2, 3, 4});
  const auto slab = [&](const char* name, std::int64_t first, std::size_t n) {
    return failure([&] { writer.write_slab<float>(name, first, numbered(n)); });
  };
  EXPECT_NE(slab("cbf", 1, 24).find("24 values from row 1 do not fit 2 rows of 12"), std::string::npos);
  EXPECT_NE(slab("cbf", 0, 5).find("5 values from row 0 do not fit"), std::string::npos);
  EXPECT_NE(slab("cbv", 0, 12).find("dataset 'cbv' was not created"), std::string::npos);
  EXPECT_NE(failure([&] {
              writer.create(map_dataset(), {2, 3, 4});
            }).find("creating dataset 'cbf'"),
            std::string::npos)
      << "twice";
  folder.write("file", "x");
  EXPECT_NE(failure([&] { ArtifactWriter(folder / "file/a.h5", "k", nullptr); }).find("the folder cannot be created"),
            std::string::npos);
}

TEST(Store, ReadingNamesFileAndDataset) {
  const TempFolder folder;
  const ArtifactReader reader(write_example(folder / "a.h5"));
  const auto start = (folder / "a.h5").string() + ": ";
  EXPECT_EQ(failure([&] { reader.read<float>("cbv"); }).find(start + "opening dataset 'cbv'"), 0u);
  EXPECT_EQ(failure([&] { reader.read_slab<float>("cbf", 1, 2); }).find(start + "dataset 'cbf': rows 1 to 3 asked for"),
            0u);
  EXPECT_EQ(failure([&] { reader.read_slab<float>("cbf", -1, 1); }).find(start + "dataset 'cbf': rows -1"), 0u);
  EXPECT_NE(failure([&] { ArtifactReader(folder / "missing.h5"); }).find("missing, or not an artifact of perfpipe"),
            std::string::npos);
}

}  // namespace
}  // namespace perfpipe
