#include "formats/png.hpp"

#include "core/error.hpp"

#include <cstring>

#include <gtest/gtest.h>
#include <png.h>

namespace perfpipe {
namespace {

std::vector<std::uint8_t> ramp(std::size_t bytes) {
  std::vector<std::uint8_t> pixels(bytes);
  for (std::size_t i = 0; i < bytes; ++i) pixels[i] = static_cast<std::uint8_t>(37 * i + i / 7);
  return pixels;
}

/// Reads a PNG back through libpng's simplified interface.
std::vector<std::uint8_t> decode(const std::vector<std::uint8_t>& file, png_uint_32 format, png_image& image) {
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, file.data(), file.size())) << image.message;
  EXPECT_EQ(image.format, format);
  image.format = format;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) << image.message;
  return pixels;
}

TEST(Png, GreyPixelsComeBack) {
  const auto pixels = ramp(7 * 5);
  png_image image;
  EXPECT_EQ(decode(encode_png(pixels, 7, 5, 1), PNG_FORMAT_GRAY, image), pixels);
  EXPECT_EQ(image.width, 7u);
  EXPECT_EQ(image.height, 5u);
}

TEST(Png, ColourPixelsComeBack) {
  const auto pixels = ramp(6 * 9 * 3);
  png_image image;
  EXPECT_EQ(decode(encode_png(pixels, 6, 9, 3), PNG_FORMAT_RGB, image), pixels);
  EXPECT_EQ(image.width, 6u);
  EXPECT_EQ(image.height, 9u);
}

TEST(Png, SamePixelsSameBytes) {
  const auto pixels = ramp(64 * 64 * 3);
  EXPECT_EQ(encode_png(pixels, 64, 64, 3), encode_png(pixels, 64, 64, 3));
}

TEST(Png, RefusesPixelsThatDoNotFitTheSize) {
  try {
    encode_png(ramp(11), 4, 3, 1);
    FAIL() << "11 bytes were taken for 4 x 3 pixels";
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find("11 bytes given, 12 expected"), std::string::npos) << error.what();
  }
}

TEST(Png, RefusesEmptyAndHugeSizesAndOddChannels) {
  EXPECT_THROW(encode_png({}, 0, 0, 1), IoError);
  EXPECT_THROW(encode_png({}, 16385, 1, 1), IoError);
  EXPECT_THROW(encode_png(ramp(8), 2, 2, 2), IoError);
}

TEST(Base64, FollowsRfc4648) {
  const auto of = [](const std::string& s) {
    return base64({reinterpret_cast<const std::uint8_t*>(s.data()), s.size()});
  };
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("f"), "Zg==");
  EXPECT_EQ(of("fo"), "Zm8=");
  EXPECT_EQ(of("foo"), "Zm9v");
  EXPECT_EQ(of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(of("\xff\xfe\xfb"), "//77");
}

}  // namespace
}  // namespace perfpipe
