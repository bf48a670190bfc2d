#include "model/weights.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian and copied as they are");

using Json = nlohmann::json;
__extension__ using Wide = unsigned __int128;

constexpr std::size_t length_bytes = 8;
constexpr std::string_view remedy = "; the file is damaged or not of this program: take it again from its source";

/// Text of the file for a message: printable whatever the file holds, and never as long as a header may be.
std::string excerpt(const Json& value) {
  constexpr std::size_t longest = 120;
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  return text;
}
/// The same for a name, in single quotes.
std::string in_quotes(const std::string& name) {
  const std::string text = excerpt(name);
  return text.ends_with('"') ? "'" + text.substr(1, text.size() - 2) + "'" : "'" + text.substr(1) + "'";
}

/// Where a tensor's values stand in the data.
struct Extent {
  std::uint64_t begin;
  std::uint64_t end;
};

/// Reads the header of a file; every refusal names the file.
class HeaderReader {
 public:
  HeaderReader(std::string_view header, std::string_view values, const std::string& source)
      : header_(header), values_(values), source_(source) {}

  WeightFile read() const {
    const Json json = parse();
    WeightFile file;
    std::vector<std::pair<Extent, NamedTensor>> tensors;
    for (const auto& [name, entry] : json.items()) {
      if (name == "__metadata__")
        file.metadata = metadata(entry);
      else
        tensors.push_back(tensor(name, entry));
    }
    std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
      return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
    });
    check_cover(tensors);
    for (auto& [extent, t] : tensors) {
      fill(t, extent);
      file.tensors.push_back(std::move(t));
    }
    return file;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw InputError(source_ + ": " + what + std::string(remedy));
  }

  Json parse() const {
    if (header_.empty() || header_.front() != '{') refuse("header does not start with '{': a JSON object is needed");
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > 3) refuse("header is nested deeper than 3 levels");
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
        refuse("header has the key " + in_quotes(value.get<std::string>()) + " twice: each name may stand once");
      return true;
    };
    try {
      return Json::parse(header_, watch);
    } catch (const Json::exception& e) {
      refuse("header is not valid JSON (" + excerpt(std::string(e.what())) + ")");
    }
  }

  std::map<std::string, std::string> metadata(const Json& entry) const {
    if (!entry.is_object()) refuse("__metadata__ is " + excerpt(entry) + ": an object of strings is needed");
    std::map<std::string, std::string> result;
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string())
        refuse("__metadata__ " + in_quotes(key) + " is " + excerpt(value) + ": a string is needed");
      result[key] = value.get<std::string>();
    }
    return result;
  }

  std::pair<Extent, NamedTensor> tensor(const std::string& name, const Json& entry) const {
    const std::string where = "tensor " + in_quotes(name) + ": ";
    if (!entry.is_object()) refuse(where + "is " + excerpt(entry) + ": an object is needed");
    for (const auto& [key, value] : entry.items())
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        refuse(where + "has the field " + in_quotes(key) + ": only dtype, shape, data_offsets are allowed");
    for (const char* key : {"dtype", "shape", "data_offsets"})
      if (!entry.contains(key)) refuse(where + "has no field '" + key + "'");
    if (entry["dtype"] != "F32") refuse(where + "dtype is " + excerpt(entry["dtype"]) + ": \"F32\" is needed");

    const Json& shape = entry["shape"];
    const Json& offsets = entry["data_offsets"];
    const auto counts = [](const Json& list) {
      return list.is_array() && std::all_of(list.begin(), list.end(), [](const Json& x) {
               return x.is_number_unsigned() && x.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
             });
    };
    if (!counts(shape) || shape.size() > max_tensor_rank)
      refuse(where + "shape is " + excerpt(shape) + ": a list of at most " + std::to_string(max_tensor_rank) +
             " non-negative integers is needed");
    if (!counts(offsets) || offsets.size() != 2 || offsets[0].get<std::uint64_t>() > offsets[1].get<std::uint64_t>() ||
        offsets[1].get<std::uint64_t>() > values_.size())
      refuse(where + "data_offsets are " + excerpt(offsets) + ": two increasing integers up to the " +
             std::to_string(values_.size()) + " bytes of data are needed");

    NamedTensor result{name, shape.get<std::vector<std::int64_t>>(), {}};
    const Extent extent{offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
    if (bytes(result.shape) != Wide{extent.end - extent.begin})
      refuse(where + "shape " + excerpt(shape) + " of 4-byte values does not fit its " +
             std::to_string(extent.end - extent.begin) + " bytes at data_offsets " + excerpt(offsets));
    return {extent, std::move(result)};
  }

  /// Bytes of a shape, or an impossible number as soon as the product leaves 64 bit.
  static Wide bytes(const std::vector<std::int64_t>& shape) {
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
    Wide product = sizeof(float);
    for (const auto n : shape) {
      product *= static_cast<Wide>(n);
      if (product > UINT64_MAX) return product;
    }
    return product;
  }

  void check_cover(const std::vector<std::pair<Extent, NamedTensor>>& tensors) const {
    std::uint64_t covered = 0;
    for (const auto& [extent, t] : tensors) {
      if (extent.begin != covered)
        refuse("tensor " + in_quotes(t.name) + ": starts at byte " + std::to_string(extent.begin) + " of the data, " +
               (extent.begin < covered ? "inside the tensor before it" : "after a gap") + ": byte " +
               std::to_string(covered) + " is needed");
      covered = extent.end;
    }
    if (covered != values_.size())
      refuse("data has " + std::to_string(values_.size()) + " bytes, its tensors " + std::to_string(covered) +
             ": both must be equal");
  }

  void fill(NamedTensor& t, const Extent& extent) const {
    t.values.resize((extent.end - extent.begin) / sizeof(float));
    if (!t.values.empty()) std::memcpy(t.values.data(), values_.data() + extent.begin, extent.end - extent.begin);
    const auto bad = std::find_if(t.values.begin(), t.values.end(), [](float x) { return !std::isfinite(x); });
    if (bad != t.values.end())
      refuse("tensor " + in_quotes(t.name) + ": value " + std::to_string(bad - t.values.begin()) + " is " +
             std::to_string(*bad) + ": finite values are needed");
  }

  std::string_view header_;
  std::string_view values_;
  const std::string& source_;
};

}  // namespace

std::string to_safetensors(const WeightFile& file) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::string values;
  for (const auto& tensor : file.tensors) {
    if (header.contains(tensor.name)) throw std::invalid_argument("to_safetensors: '" + tensor.name + "' stands twice");
    const std::size_t begin = values.size();
    values.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, values.size()}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& e) {
    throw std::invalid_argument(std::string("to_safetensors: metadata or names: ") + e.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(length_bytes, '\0');
  std::memcpy(bytes.data(), &length, length_bytes);
  bytes += text + values;
  try {
    parse_safetensors(bytes, "to_safetensors");
  } catch (const InputError& e) {
    throw std::invalid_argument(e.what());
  }
  return bytes;
}

WeightFile parse_safetensors(std::string_view bytes, const std::string& source) {
  if (bytes.size() < length_bytes)
    throw InputError(source + ": has " + std::to_string(bytes.size()) +
                     " bytes: a weight file starts with 8 bytes of header length" + std::string(remedy));
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), length_bytes);
  const std::uint64_t rest = bytes.size() - length_bytes;
  if (length > max_weight_header_bytes || length > rest)
    throw InputError(source + ": header length is " + std::to_string(length) + " bytes: at most " +
                     std::to_string(std::min(max_weight_header_bytes, rest)) + " are possible here (file of " +
                     std::to_string(bytes.size()) + " bytes, cap " + std::to_string(max_weight_header_bytes) + ")" +
                     std::string(remedy));
  return HeaderReader(bytes.substr(length_bytes, length), bytes.substr(length_bytes + length), source).read();
}

WeightFile read_safetensors(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw InputError(path.string() + ": no such weight file: check the path");
  if (!std::filesystem::is_regular_file(status))
    throw InputError(path.string() + ": is not a regular file: give the path of a .safetensors file");
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > max_weight_file_bytes)
    throw InputError(path.string() + ": " +
                     (error ? error.message()
                            : "has " + std::to_string(size) + " bytes: at most " +
                                  std::to_string(max_weight_file_bytes) + " are allowed"));
  std::string bytes(size, '\0');
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(bytes.data(), static_cast<std::streamsize>(size)))
    throw InputError(path.string() + ": cannot be read in full (" + std::to_string(size) +
                     " bytes): check its permissions and the disk");
  return parse_safetensors(bytes, path.string());
}

}  // namespace perfpipe
