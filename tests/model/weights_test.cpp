#include "model/weights.hpp"

#include "core/error.hpp"
#include "tests/temp_folder.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// A file of this header text and data, with the true header length unless another is given.
std::string file_of(const std::string& header, const std::string& data, std::int64_t length = -1) {
  const auto n = static_cast<std::uint64_t>(length < 0 ? static_cast<std::int64_t>(header.size()) : length);
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &n, 8);
  return bytes + header + data;
}

std::string refusal(const std::string& bytes) {
  try {
    parse_safetensors(bytes, "w.safetensors");
  } catch (const InputError& e) {
    return e.what();
  }
  return "accepted";
}

#define EXPECT_MENTIONS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

const std::string eight_bytes(8, '\0');

std::string one_tensor(const std::string& fields, const std::string& data = eight_bytes) {
  return file_of("{\"a\":{" + fields + "}}", data);
}

class WeightFiles : public testing::Test {
 protected:
  TempFolder folder_;
};

TEST_F(WeightFiles, AreReadBackAsTheyWereWritten) {
  WeightFile file;
  file.metadata = {{"parameter", "cbf"}, {"cohort", "Jos\xc3\xa9 \"1\""}};
  file.tensors = {
      {"b.weight", {2, 3}, {1.0f, -2.5f, 3e-39f, 4.0f, 5.0f, 1e30f}}, {"a.bias", {1}, {0.1f}}, {"none", {0, 4}, {}}};
  const auto bytes = to_safetensors(file);
  const auto path = folder_.write("w.safetensors", bytes);
  const auto read = read_safetensors(path);
  EXPECT_EQ(read.metadata, file.metadata);
  ASSERT_EQ(read.tensors.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.tensors[i].name, file.tensors[i].name);
    EXPECT_EQ(read.tensors[i].shape, file.tensors[i].shape);
    EXPECT_EQ(read.tensors[i].values, file.tensors[i].values);
  }
  EXPECT_EQ(to_safetensors(read), bytes);
}

TEST_F(WeightFiles, ThatAreNoFileAreRefused) {
  EXPECT_THROW(read_safetensors(folder_.path()), InputError);
  EXPECT_THROW(read_safetensors(folder_ / "missing"), InputError);
  std::filesystem::create_symlink(folder_ / "missing", folder_ / "dangling");
  EXPECT_THROW(read_safetensors(folder_ / "dangling"), InputError);
}

TEST_F(WeightFiles, AboveTheCapAreRefusedBeforeTheyAreRead) {
  const auto path = folder_ / "large";
  std::ofstream(path, std::ios::binary) << "x";
  std::filesystem::resize_file(path, max_weight_file_bytes + 1);
  EXPECT_THROW(read_safetensors(path), InputError);
}

TEST(Safetensors, HeaderIsPaddedSoThatTheDataAreAligned) {
  for (const std::string name : {"a", "ab", "abc", "abcdefgh"}) {
    const auto bytes = to_safetensors({{}, {{name, {1}, {1.0f}}}});
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    EXPECT_EQ(length % 8, 0u);
    EXPECT_EQ(bytes.size(), 8 + length + 4);
  }
}

TEST(Safetensors, RefusesToWriteWhatItWouldNotRead) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(to_safetensors({{}, {{"a", {1}, {nan}}}}), std::invalid_argument);
  EXPECT_THROW(to_safetensors({{}, {{"a", {2}, {1.0f}}}}), std::invalid_argument);
  EXPECT_THROW(to_safetensors({{}, {{"a", {1}, {1.0f}}, {"a", {1}, {1.0f}}}}), std::invalid_argument);
  EXPECT_THROW(to_safetensors({{{"cohort", "\xff"}}, {}}), std::invalid_argument);
}

TEST(Safetensors, AcceptsAWellFormedTensor) {
  EXPECT_EQ(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])")), "accepted");
}

TEST(Safetensors, RefusesHeaderLengthsThatLie) {
  EXPECT_MENTIONS(refusal("short"), "has 5 bytes");
  EXPECT_MENTIONS(refusal(file_of("{}", "", 3)), "header length is 3 bytes: at most 2");
  EXPECT_MENTIONS(refusal(file_of("{}", "", std::numeric_limits<std::int64_t>::max())), "header length");
  EXPECT_MENTIONS(refusal(file_of(std::string(max_weight_header_bytes + 1, ' '), "")), "cap");
}

TEST(Safetensors, RefusesHeadersThatAreNoObject) {
  EXPECT_MENTIONS(refusal(file_of("", "")), "JSON object is needed");
  EXPECT_MENTIONS(refusal(file_of("[1]", "")), "JSON object is needed");
  EXPECT_MENTIONS(refusal(file_of("{\"a\":", "")), "not valid JSON");
  EXPECT_MENTIONS(refusal(file_of("{} {}", "")), "not valid JSON");
  EXPECT_MENTIONS(refusal(file_of("{\"a\":" + std::string(1000, '['), "")), "nested deeper");
  EXPECT_MENTIONS(refusal(file_of("{\"\xff\":1}", "")), "not valid JSON");
}

TEST(Safetensors, RefusesAKeyThatStandsTwice) {
  EXPECT_MENTIONS(refusal(one_tensor(R"("dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8])")),
                  "'shape' twice");
  const std::string entry = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_MENTIONS(refusal(file_of("{\"a\":" + entry + ",\"a\":" + entry + "}", eight_bytes)), "'a' twice");
}

TEST(Safetensors, RefusesMetadataThatAreNotText) {
  EXPECT_MENTIONS(refusal(file_of(R"({"__metadata__":{"scale":3}})", "")), "'scale' is 3: a string");
  EXPECT_MENTIONS(refusal(file_of(R"({"__metadata__":"x"})", "")), "an object of strings");
}

TEST(Safetensors, RefusesFieldsThatAreMissingUnknownOrOfAnotherType) {
  EXPECT_MENTIONS(refusal(file_of(R"({"a":1})", eight_bytes)), "'a': is 1");
  EXPECT_MENTIONS(refusal(one_tensor(R"("shape":[2],"data_offsets":[0,8])")), "no field 'dtype'");
  EXPECT_MENTIONS(refusal(one_tensor(R"("dtype":"F64","shape":[1],"data_offsets":[0,8])")), "dtype is \"F64\"");
  EXPECT_MENTIONS(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)")), "the field 'x'");
}

TEST(Safetensors, RefusesShapesThatDoNotFitTheirBytes) {
  for (const std::string shape : {"[3]", "[]", "[1, 1]", "[0]", "[4294967296, 4294967296, 2]",
                                  "[9223372036854775807, 9223372036854775807, 9223372036854775807, 2]"})
    EXPECT_MENTIONS(refusal(one_tensor(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,8])")),
                    "does not fit");
  for (const std::string shape :
       {"[-2]", "[2.0]", "\"2\"", "2", "[18446744073709551615]", "[1,1,1,1,1,1,1,1,2]", "[null]"})
    EXPECT_MENTIONS(refusal(one_tensor(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,8])")),
                    "non-negative integers");
}

TEST(Safetensors, RefusesOffsetsThatAreNotInTheData) {
  for (const std::string offsets : {"[0,12]", "[8,0]", "[-8,0]", "[0]", "[0,8,8]", "[0.0,8.0]", "8"})
    EXPECT_MENTIONS(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":)" + offsets)), "data_offsets are");
}

TEST(Safetensors, RefusesGapsOverlapsAndDataWithoutATensor) {
  const auto two = [](const std::string& a, const std::string& b, std::size_t bytes) {
    return refusal(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + a +
                               R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}",
                           std::string(bytes, '\0')));
  };
  EXPECT_EQ(two("[0,4]", "[4,8]", 8), "accepted");
  EXPECT_EQ(two("[4,8]", "[0,4]", 8), "accepted");
  EXPECT_MENTIONS(two("[0,4]", "[0,4]", 8), "inside the tensor before it");
  EXPECT_MENTIONS(two("[0,4]", "[8,12]", 12), "after a gap");
  EXPECT_MENTIONS(two("[0,4]", "[4,8]", 12), "data has 12 bytes");
}

TEST(Safetensors, RefusesValuesThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    std::string data = eight_bytes;
    std::memcpy(data.data() + 4, &bad, 4);
    EXPECT_MENTIONS(refusal(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", data)), "value 1 is");
  }
}

}  // namespace
}  // namespace perfpipe
