// 8-bit PNG images in memory, for figures and for the exported maps.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// Encodes `width` x `height` pixels, rows from the top, as a PNG file. `channels` is 1 (grey) or 3 (RGB, interleaved).
/// Same pixels, same bytes: fixed compression level and filter, no time stamp. Throws IoError if the pixels do not fit
/// the size, or if the size is 0 or above 16384 in one direction.
std::vector<std::uint8_t> encode_png(std::span<const std::uint8_t> pixels, std::int64_t width, std::int64_t height,
                                     int channels);

/// Base64 (RFC 4648, with padding), for `data:` addresses in a self-contained page.
std::string base64(std::span<const std::uint8_t> bytes);

}  // namespace perfpipe
