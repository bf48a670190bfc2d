// Weight files in the safetensors format: 8-byte header length, JSON header, raw little-endian float32; nothing in
// them is ever executed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace perfpipe {

/// A tensor of a weight file; `values` in row-major order (last index fastest), as many as the product of `shape`.
struct NamedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// What a weight file holds. Metadata are text, as the format has it.
struct WeightFile {
  std::map<std::string, std::string> metadata;
  std::vector<NamedTensor> tensors;
};

/// Caps that are checked before memory is taken; our largest network has 0.6 MB and a header of 2 KB.
inline constexpr std::uint64_t max_weight_file_bytes = 64ull << 20;
inline constexpr std::uint64_t max_weight_header_bytes = 1ull << 20;
inline constexpr std::size_t max_tensor_rank = 8;

/// The bytes of a weight file: metadata sorted by key, tensors in the given order without gaps, header padded with
/// spaces to a multiple of 8. The same content always gives the same bytes. Throws std::invalid_argument for content
/// that read_safetensors() would refuse (values that do not fit the shape, NaN, Inf, a name used twice, text not in
/// UTF-8).
std::string to_safetensors(const WeightFile& file);

/// Reads the bytes of a weight file; `source` names them in messages. Strict: float32 only, tensors that cover the data
/// exactly without gap or overlap, finite values, no key twice. Throws InputError naming field, value and what is
/// allowed.
WeightFile parse_safetensors(std::string_view bytes, const std::string& source);

/// Reads a weight file. Throws InputError as parse_safetensors(), and for what is missing, no regular file or too
/// large.
WeightFile read_safetensors(const std::filesystem::path& path);

}  // namespace perfpipe
