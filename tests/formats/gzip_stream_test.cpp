#include "formats/gzip_stream.hpp"

#include "core/error.hpp"
#include "tests/formats/nifti_builder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// Bytes without a short period, more than one buffer of them.
std::string sample_bytes() {
  std::string text(300000, '\0');
  unsigned state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 27);
  return text;
}

std::string read_at(GzipStream& stream, std::int64_t position, std::size_t count) {
  std::string bytes(count, '\0');
  stream.seek(position);
  bytes.resize(stream.read(bytes.data(), count));
  return bytes;
}

std::string failure(const std::filesystem::path& path) {
  try {
    GzipStream(path).skip_to_end();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no failure";
}

TEST(GzipStream, ReadsAndSeeksAlikeInPlainAndCompressedFiles) {
  const TempFolder folder;
  const std::string bytes = sample_bytes();
  for (const bool compressed : {false, true}) {
    GzipStream stream(folder.write("file", compressed ? gzip(bytes) : bytes));
    EXPECT_EQ(stream.gzipped(), compressed);
    EXPECT_EQ(read_at(stream, 1000, 50), bytes.substr(1000, 50));
    EXPECT_EQ(stream.position(), 1050);
    EXPECT_EQ(read_at(stream, 200000, 90000), bytes.substr(200000, 90000));
    EXPECT_EQ(read_at(stream, 10, 20), bytes.substr(10, 20)) << "going back";
    EXPECT_EQ(read_at(stream, 299990, 100), bytes.substr(299990)) << "fewer at the end";
    EXPECT_EQ(stream.skip_to_end(), 300000);
    EXPECT_EQ(stream.trailing_bytes(), 0);
  }
}

TEST(GzipStream, JoinsMembersAndCountsWhatFollowsThem) {
  const TempFolder folder;
  const std::string bytes = sample_bytes();
  GzipStream stream(folder.write("file", gzip(bytes.substr(0, 100)) + gzip(bytes.substr(100)) + "garbage"));
  EXPECT_EQ(read_at(stream, 90, 20), bytes.substr(90, 20));
  EXPECT_EQ(stream.skip_to_end(), 300000);
  EXPECT_EQ(stream.trailing_bytes(), 7);
}

TEST(GzipStream, ReportsAWrongCrcAWrongLengthAndACutStream) {
  const TempFolder folder;
  const std::string whole = gzip(sample_bytes());
  std::string wrong_crc = whole, wrong_length = whole, wrong_code = whole;
  wrong_crc[whole.size() - 8] ^= 1;
  wrong_length[whole.size() - 1] ^= 1;
  EXPECT_NE(failure(folder.write("crc", wrong_crc)).find("wrong CRC or length"), std::string::npos);
  EXPECT_NE(failure(folder.write("length", wrong_length)).find("wrong CRC or length"), std::string::npos);
  for (const std::size_t size : {whole.size() - 1, whole.size() - 9, whole.size() / 2, std::size_t{5}})
    EXPECT_NE(failure(folder.write("cut", whole.substr(0, size))).find("truncated"), std::string::npos) << size;
  EXPECT_EQ(failure(folder.write("whole", whole)), "no failure");
}

TEST(GzipStream, SeekPastTheEndIsAFailureInACompressedFile) {
  const TempFolder folder;
  GzipStream stream(folder.write("file", gzip("abc")));
  EXPECT_THROW(stream.seek(4), InputError);
}

}  // namespace
}  // namespace perfpipe
