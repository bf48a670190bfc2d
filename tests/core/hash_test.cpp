#include "core/hash.hpp"

#include "core/error.hpp"
#include "tests/temp_folder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

// Keys of artifacts outlive a build: these values must never change. Those of the empty text are in XXH3's
// specification.
TEST(Hash, GivesTheValuesOfXxh3) {
  EXPECT_EQ(hash64(""), 0x2d06800538d394c2u);
  EXPECT_EQ(hash128(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, AStreamIsItsWholeText) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 7);
  Hasher hasher;
  hasher.update(text.data(), 1);
  hasher.update(text.data() + 1, 0);
  hasher.update(text.data() + 1, 1000);
  hasher.update(text.data() + 1001, text.size() - 1001);
  EXPECT_EQ(hasher.hex(), hash128(text));
  EXPECT_EQ(hasher.hex(), hash128(text)) << "asking changes nothing";
}

TEST(Hash, AFilesHashIsThatOfItsBytesFromTheOffset) {
  const TempFolder folder;
  std::string text(3'000'000, 'x');  // more than one buffer
  text[2'999'999] = 'y';
  const auto path = folder.write("file", text);
  EXPECT_EQ(hash_file(path), hash128(text));
  EXPECT_EQ(hash_file(path, 1024), hash128(text.substr(1024)));
  EXPECT_EQ(hash_file(path, 3'000'000), hash128(""));
  EXPECT_NE(hash_file(path), hash_file(path, 1));
}

TEST(Hash, OfALargeFileIsThatOfItsBlocksHashesWhoeverReadsThem) {
  constexpr std::size_t block = 4 << 20;
  const TempFolder folder;
  std::string text(2 * block + 5, 'x');
  text[block] = 'y';
  const auto path = folder.write("file", text);
  const auto expected = hash128(hash128(text.substr(0, block)) + hash128(text.substr(block, block)) + hash128("xxxxx"));
  for (int threads : {1, 2, 5}) EXPECT_EQ(hash_file(path, 0, threads), expected) << threads;
  const auto rest = text.substr(1024);
  EXPECT_EQ(hash_file(path, 1024, 2),
            hash128(hash128(rest.substr(0, block)) + hash128(rest.substr(block, rest.size() - block))));
  std::swap(text[block], text[2 * block]);
  EXPECT_NE(hash_file(folder.write("other", text)), expected);
}

TEST(Hash, NamesAFileThatCannotBeRead) {
  const TempFolder folder;
  for (const auto& path : {folder / "missing", folder.path()}) {
    try {
      hash_file(path);
      FAIL() << path;
    } catch (const IoError& error) {
      EXPECT_EQ(std::string(error.what()).find(path.string() + ": "), 0u) << error.what();
    }
  }
}

}  // namespace
}  // namespace perfpipe
