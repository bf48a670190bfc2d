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
