#include "core/kept_arrays.hpp"

#include "core/store.hpp"
#include "tests/temp_folder.hpp"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

KeptArray numbered(std::size_t n, float first) {
  RawValues<float> values(n);
  std::iota(values.begin(), values.end(), first);
  return std::make_shared<RawValues<float>>(std::move(values));
}

class KeptArrays : public testing::Test {
 protected:
  ~KeptArrays() override { drop_kept_arrays(); }
};

TEST_F(KeptArrays, AreFoundByFileContentAndName) {
  const auto array = numbered(10, 0.0f);
  keep_array("a.h5", "hash", "curves", array, 1000);
  EXPECT_EQ(kept_array("a.h5", "hash", "curves"), array);
  EXPECT_EQ(kept_array("b.h5", "hash", "curves"), nullptr);
  EXPECT_EQ(kept_array("a.h5", "other", "curves"), nullptr) << "written anew since";
  EXPECT_EQ(kept_array("a.h5", "hash", "maps"), nullptr);
  drop_kept_arrays();
  EXPECT_EQ(kept_array("a.h5", "hash", "curves"), nullptr);
}

TEST_F(KeptArrays, TheFirstGoFirstWhereThereAreTooMany) {
  for (const char* file : {"a", "b", "c"}) keep_array(file, "", "curves", numbered(10, 0.0f), 100);
  EXPECT_EQ(kept_array("a", "", "curves"), nullptr);
  EXPECT_NE(kept_array("b", "", "curves"), nullptr);
  EXPECT_NE(kept_array("c", "", "curves"), nullptr);
  keep_array("d", "", "curves", numbered(26, 0.0f), 100);
  for (const char* file : {"b", "c", "d"}) EXPECT_EQ(kept_array(file, "", "curves"), nullptr) << file;
}

TEST_F(KeptArrays, OnesOfTheSameNameTakeEachOthersPlace) {
  keep_array("a", "1", "curves", numbered(10, 0.0f), 100);
  const auto later = numbered(10, 5.0f);
  keep_array("a", "2", "curves", later, 100);
  keep_array("b", "1", "curves", numbered(10, 0.0f), 100);
  EXPECT_EQ(kept_array("a", "1", "curves"), nullptr);
  EXPECT_EQ(kept_array("a", "2", "curves"), later);
}

TEST_F(KeptArrays, AReaderSharesWhatAWriterKeeps) {
  const TempFolder folder;
  const auto array = numbered(24, 1.0f);
  ArtifactWriter writer(folder / "a.h5", "k", nullptr);
  writer.write<float>({"curves", {"z", "y", "x"}, "1"}, {4, 2, 3}, *array);
  writer.keep("curves", array, 1000);
  writer.commit();
  const ArtifactReader reader(folder / "a.h5");
  const auto slices = reader.read_slices("curves", 1, 2);
  EXPECT_EQ(slices.data(), array->data() + 6);
  EXPECT_TRUE(std::ranges::equal(slices, reader.read_slab<float>("curves", 1, 2)));

  drop_kept_arrays();
  EXPECT_EQ(slices.data()[0], 7.0f) << "held by who asked for it";
  const auto read = reader.read_slices("curves", 1, 2);
  EXPECT_NE(read.data(), slices.data());
  EXPECT_TRUE(std::ranges::equal(read, slices));
}

TEST_F(KeptArrays, AnArtifactWrittenAnewIsReadFromItsFile) {
  const TempFolder folder;
  for (const bool keeps : {true, false}) {
    ArtifactWriter writer(folder / "a.h5", "k", nullptr);
    const auto values = numbered(6, keeps ? 0.0f : 9.0f);
    writer.write<float>({"curves", {"z", "y", "x"}, "1"}, {1, 2, 3}, *values);
    if (keeps) writer.keep("curves", values, 1000);
    writer.commit();
  }
  EXPECT_EQ(ArtifactReader(folder / "a.h5").read_slices("curves", 0, 1).data()[0], 9.0f);
}

TEST_F(KeptArrays, NothingIsKeptOfAnArtifactThatIsNotCommitted) {
  const TempFolder folder;
  {
    ArtifactWriter writer(folder / "a.h5", "k", nullptr);
    writer.keep("curves", numbered(6, 0.0f), 1000);
  }
  EXPECT_EQ(kept_array(folder / "a.h5", "", "curves"), nullptr);
}

}  // namespace
}  // namespace perfpipe
