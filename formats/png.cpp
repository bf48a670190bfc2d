#include "formats/png.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <csetjmp>

#include <fmt/format.h>
#include <png.h>

namespace perfpipe {
namespace {

constexpr std::int64_t largest_side = 16384;

void append(png_structp png, png_bytep bytes, std::size_t count) {
  auto& out = *static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(png));
  out.insert(out.end(), bytes, bytes + count);
}

/// libpng reports errors by longjmp, which must not cross an object with a destructor: everything here is plain or
/// lives with the caller. Returns false on an error.
bool write_rows(png_structp png, png_infop info, const std::uint8_t* pixels, png_uint_32 width, png_uint_32 height,
                int channels, std::vector<std::uint8_t>* out) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, out, append, [](png_structp) {});
  png_set_IHDR(png, info, width, height, 8, channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(png, 6);  // 9 takes four times as long for 5 % of the bytes
  // Enlarged maps repeat their pixels, which deflate finds best in unfiltered rows.
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
  png_write_info(png, info);
  for (png_uint_32 y = 0; y < height; ++y)
    png_write_row(png, pixels + static_cast<std::size_t>(y) * width * static_cast<std::size_t>(channels));
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

std::vector<std::uint8_t> encode_png(std::span<const std::uint8_t> pixels, std::int64_t width, std::int64_t height,
                                     int channels) {
  if (width < 1 || height < 1 || width > largest_side || height > largest_side || (channels != 1 && channels != 3))
    throw IoError(fmt::format("PNG of {} x {} pixels with {} channels: expected sides from 1 to {} and 1 or 3 channels",
                              width, height, channels, largest_side));
  const auto expected = static_cast<std::size_t>(width * height * channels);
  if (pixels.size() != expected)
    throw IoError(fmt::format("PNG of {} x {} pixels with {} channels: {} bytes given, {} expected", width, height,
                              channels, pixels.size(), expected));
  std::vector<std::uint8_t> out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  const bool written = info && write_rows(png, info, pixels.data(), static_cast<png_uint_32>(width),
                                          static_cast<png_uint_32>(height), channels, &out);
  png_destroy_write_struct(&png, &info);
  if (!written) throw IoError(fmt::format("PNG of {} x {} pixels: libpng could not encode it", width, height));
  return out;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t given = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < given ? bytes[i + j] : 0u);
    for (std::size_t j = 0; j < 4; ++j) text += j <= given ? digits[group >> (18 - 6 * j) & 63u] : '=';
  }
  return text;
}

}  // namespace perfpipe
