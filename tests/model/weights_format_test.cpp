// Weight files as others see them: a reader of the test's own, Python's `safetensors`, and files that were damaged.
#include "core/error.hpp"
#include "core/random.hpp"
#include "model/bicnn.hpp"
#include "model/weights.hpp"
#include "tests/python.hpp"
#include "tests/temp_folder.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

WeightFile network() {
  return make_weight_file({Parameter::cbf, 10.0, "test", {"sub-02", "Jos\xc3\xa9"}, "0"},
                          initial_weights(Architecture::max_pool, 5, "weights"));
}

/// Three tensors, one of them empty: small enough that damage often hits the header.
std::string small_file() {
  return to_safetensors(
      {{{"format", "test"}}, {{"a.weight", {2, 3}, {1, -2, 3e-39f, 4, 5, 1e30f}}, {"b", {0, 4}, {}}, {"c", {1}, {7}}}});
}

/// A reader from the format's definition alone: 8 bytes of little-endian header length N, N bytes of JSON with an entry
/// {dtype, shape, data_offsets} for each tensor and strings under __metadata__, then the data that the offsets count
/// in.
struct PlainTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
std::map<std::string, PlainTensor> read_plainly(const std::string& bytes, nlohmann::json& metadata) {
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes.at(static_cast<std::size_t>(i)));
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  const std::string data = bytes.substr(8 + length);
  std::map<std::string, PlainTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      metadata = entry;
      continue;
    }
    EXPECT_EQ(entry.at("dtype"), "F32") << name;
    PlainTensor tensor{entry.at("shape"), {}};
    const std::size_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    for (std::size_t at = begin; at < end; at += 4) {
      std::uint32_t bits = 0;
      for (std::size_t i = 4; i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(data.at(at + i));
      float value = 0.0f;
      std::memcpy(&value, &bits, sizeof value);
      tensor.values.push_back(value);
    }
    tensors[name] = std::move(tensor);
  }
  return tensors;
}

TEST(WeightFormat, AnotherReaderFindsTheSameTensors) {
  const auto file = network();
  const auto bytes = to_safetensors(file);
  nlohmann::json metadata;
  const auto tensors = read_plainly(bytes, metadata);
  ASSERT_EQ(tensors.size(), file.tensors.size());
  for (const auto& tensor : file.tensors) {
    EXPECT_EQ(tensors.at(tensor.name).shape, tensor.shape) << tensor.name;
    EXPECT_EQ(tensors.at(tensor.name).values, tensor.values) << tensor.name;
  }
  EXPECT_EQ(metadata, nlohmann::json(file.metadata));
}

/// What `safetensors` for Python reads, as JSON: {name: [shape, sum, first value]} and the metadata.
constexpr char python_reader[] = R"(
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as f:
    tensors = {k: f.get_tensor(k) for k in f.keys()}
    found = {k: [list(t.shape), float(t.astype("f8").sum()), float(t.ravel()[0])] for k, t in tensors.items()}
    json.dump({"metadata": f.metadata(), "tensors": found}, open(sys.argv[2], "w"))
)";

TEST(WeightFormat, PythonsSafetensorsReadsThem) {
  const std::string python = python_with("numpy, safetensors");
  if (python.empty())
    GTEST_SKIP() << "no Python with numpy and safetensors is here; the reader of the test above takes its place";
  TempFolder folder;
  const auto file = network();
  folder.write("read.py", python_reader);
  folder.write("cbf.safetensors", to_safetensors(file));
  const auto path = [&](const char* name) { return "'" + (folder / name).string() + "' "; };
  ASSERT_EQ(std::system((python + " " + path("read.py") + path("cbf.safetensors") + path("found.json")).c_str()), 0);
  const auto found = nlohmann::json::parse(std::ifstream(folder / "found.json"));
  EXPECT_EQ(found.at("metadata"), nlohmann::json(file.metadata));
  ASSERT_EQ(found.at("tensors").size(), file.tensors.size());
  for (const auto& tensor : file.tensors) {
    const auto& entry = found.at("tensors").at(tensor.name);
    double sum = 0.0;
    for (const float x : tensor.values) sum += x;
    EXPECT_EQ(entry.at(0), nlohmann::json(tensor.shape)) << tensor.name;
    EXPECT_NEAR(entry.at(1).get<double>(), sum, 1e-9) << "numpy adds in another order";
    EXPECT_EQ(entry.at(2).get<float>(), tensor.values.front()) << tensor.name;
  }
}

/// True if the bytes were refused as input, or read as tensors that are what a valid file can hold.
testing::AssertionResult refused_or_sound(const std::string& bytes) {
  try {
    const auto file = parse_safetensors(bytes, "w.safetensors");
    std::size_t held = 0;
    for (const auto& tensor : file.tensors) {
      std::int64_t count = 1;
      for (const auto n : tensor.shape) count *= n;
      if (static_cast<std::size_t>(count) != tensor.values.size())
        return testing::AssertionFailure() << tensor.name << ": shape and values differ";
      for (const float x : tensor.values)
        if (!std::isfinite(x)) return testing::AssertionFailure() << tensor.name << " is not finite";
      held += tensor.values.size() * sizeof(float);
    }
    if (held > bytes.size()) return testing::AssertionFailure() << "more values than bytes";
    try {
      check_weights(file, "w.safetensors");
    } catch (const Error&) {
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) return testing::AssertionFailure() << "another code: " << error.what();
    if (std::strlen(error.what()) > 1000) return testing::AssertionFailure() << "a message of a page";
    for (const char* c = error.what(); *c != '\0'; ++c)
      if (static_cast<unsigned char>(*c) < 0x20) return testing::AssertionFailure() << "control characters";
  } catch (const std::exception& error) {
    return testing::AssertionFailure() << "another error: " << error.what();
  }
  return testing::AssertionSuccess();
}

TEST(DamagedWeightFiles, CutShortAreAllRefused) {
  const auto bytes = small_file();
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_THROW(parse_safetensors(bytes.substr(0, length), "w"), InputError) << length;
  EXPECT_THROW(parse_safetensors(bytes + '\0', "w"), InputError) << "and longer ones";
}

TEST(DamagedWeightFiles, EveryFlippedBitIsRefusedOrReadsAsAValidFile) {
  const auto good = small_file();
  ASSERT_TRUE(refused_or_sound(good));
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    auto bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_TRUE(refused_or_sound(bytes)) << "bit " << bit;
  }
}

TEST(DamagedWeightFiles, RandomDamageIsRefusedOrReadsAsAValidFile) {
  Random random(1, "damage");
  const std::string good[] = {small_file(), to_safetensors(network())};
  const std::string pieces[] = {"\"shape\":",
                                "[",
                                "]",
                                "{",
                                "}",
                                ",",
                                "-1",
                                "1e99",
                                "18446744073709551616",
                                "\\u0000",
                                "null",
                                "\"__metadata__\":",
                                "4294967296",
                                "\xff",
                                "\x1b[2J",
                                "9223372036854775807"};
  for (int i = 0; i < 4000; ++i) {
    auto bytes = good[i % 8 == 0];
    // Mostly the header: a bit of the data is a weight like any other.
    const std::size_t reach = i % 4 == 0 ? bytes.size() : 300;
    for (std::uint64_t n = 1 + random.below(4); n-- > 0;) {
      const auto at = static_cast<std::size_t>(random.below(std::min(reach, bytes.size())));
      switch (random.below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          bytes.insert(at, pieces[random.below(std::size(pieces))]);
          break;
        case 2:
          bytes.erase(at, 1 + random.below(8));
          break;
        default:
          bytes.replace(at, 1, pieces[random.below(std::size(pieces))]);
      }
      if (bytes.empty()) break;
    }
    // Every other one with a header length that is right again, so that the damage gets past the first check.
    if (i % 2 == 0 && bytes.size() > 8) {
      const auto brace = bytes.find("}}", 8);
      const std::uint64_t length = brace == std::string::npos ? bytes.size() - 8 : brace + 2 - 8;
      std::memcpy(bytes.data(), &length, 8);
    }
    ASSERT_TRUE(refused_or_sound(bytes)) << "damage " << i;
  }
}

TEST(DamagedWeightFiles, HugeCountsTakeNoMemoryAndShortMessages) {
  // Shapes whose product overflows, names and lists as long as the cap on headers allows.
  const auto with_header = [](const std::string& header, const std::string& data = std::string(8, '\0')) {
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + data;
  };
  const std::string fields = R"(,"data_offsets":[0,8]})";
  std::string list = "[1";
  while (list.size() < (1u << 20) - 200) list += ",1";
  for (const auto& header :
       {R"({"a":{"dtype":"F32","shape":)" + list + "]" + fields + "}",
        R"({"a":{"dtype":")" + std::string((1u << 20) - 200, 'x') + R"(","shape":[2])" + fields + "}",
        "{\"" + std::string((1u << 20) - 200, 'n') + "\":{\"dtype\":\"F64\"}}",
        R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,0])" + fields + "}",
        R"({"a":{"dtype":"F32","shape":[4611686018427387904,4])" + fields + "}"})
    EXPECT_TRUE(refused_or_sound(with_header(header)));
  // 2^62 values of 4 bytes are 2^64 bytes, which a 64-bit product takes for 0.
  EXPECT_THROW(parse_safetensors(
                   with_header(R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", ""), "w"),
               InputError);
}

}  // namespace
}  // namespace perfpipe
