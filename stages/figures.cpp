#include "stages/figures.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr Colour black{0, 0, 0};

std::uint8_t encode_srgb(double linear) {
  const double x = std::clamp(linear, 0.0, 1.0);
  const double encoded = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1.0 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255.0 * encoded));
}

/// Lightness 0-1, chroma and hue in degrees of OKLab to sRGB; out of gamut channels are clipped.
Colour from_oklch(double lightness, double chroma, double hue) {
  const double a = chroma * std::cos(hue * std::numbers::pi / 180.0);
  const double b = chroma * std::sin(hue * std::numbers::pi / 180.0);
  const auto cube = [](double x) { return x * x * x; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  return {encode_srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          encode_srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          encode_srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

/// Position of a stored voxel's first pixel on the screen.
std::int64_t placed(std::int64_t i, std::int64_t n, bool flip, int scale) { return (flip ? n - 1 - i : i) * scale; }

void fill(Image8& image, std::int64_t left, std::int64_t top, std::int64_t width, std::int64_t height, Colour colour) {
  for (std::int64_t y = top; y < top + height; ++y)
    for (std::int64_t x = left; x < left + width; ++x) image.set(x, y, colour);
}

void require_size(const char* what, std::size_t found, std::int64_t width, std::int64_t height) {
  if (found != static_cast<std::size_t>(width * height))
    throw IoError(
        fmt::format("picture of a slice of {} x {} voxels: the {} has {} elements", width, height, what, found));
}

/// Colours of a palette, finer than 8 bits can show: computing one takes a third of a microsecond.
constexpr int last_colour = 1023;
const std::vector<Colour>& palette_table(Palette palette) {
  const auto make = [](Palette of) {
    std::vector<Colour> colours;
    for (int i = 0; i <= last_colour; ++i) colours.push_back(palette_colour(of, static_cast<double>(i) / last_colour));
    return colours;
  };
  static const std::array<std::vector<Colour>, 3> tables{make(Palette::sequential), make(Palette::diverging),
                                                         make(Palette::grey)};
  return tables[palette == Palette::sequential ? 0 : palette == Palette::diverging ? 1 : 2];
}

}  // namespace

Image8::Image8(std::int64_t w, std::int64_t h, Colour colour) : width(w), height(h) {
  rgb.reserve(static_cast<std::size_t>(3 * w * h));
  for (std::int64_t i = 0; i < w * h; ++i) rgb.insert(rgb.end(), colour.begin(), colour.end());
}

Colour Image8::at(std::int64_t x, std::int64_t y) const {
  const auto i = static_cast<std::size_t>(3 * (y * width + x));
  return {rgb[i], rgb[i + 1], rgb[i + 2]};
}

void Image8::set(std::int64_t x, std::int64_t y, Colour colour) {
  std::copy(colour.begin(), colour.end(), rgb.begin() + 3 * (y * width + x));
}

Colour palette_colour(Palette palette, double u) {
  if (std::isnan(u)) return {255, 0, 255};
  u = std::clamp(u, 0.0, 1.0);
  switch (palette) {
    case Palette::sequential:
      // Warm hues: sRGB has room for their chroma at every lightness, and black stays black outside the brain.
      return from_oklch(0.12 + 0.82 * u, 0.05 + 0.40 * u * (1.0 - u) + 0.06 * u, 285.0 + 175.0 * u);
    case Palette::diverging: {
      const double d = 2.0 * u - 1.0;
      return from_oklch(0.16 + 0.70 * std::abs(d), 0.24 * std::abs(d) * (1.0 - 0.5 * std::abs(d)),
                        d < 0.0 ? 245.0 : 58.0);
    }
    case Palette::grey: {
      const auto level = static_cast<std::uint8_t>(std::lround(255.0 * u));
      return {level, level, level};
    }
  }
  return black;
}

DisplayRange display_range(Parameter parameter, double typical_high) {
  static constexpr PerParameter usual{100.0, 8.0, 16.0, 12.0};
  const double high = usual[index(parameter)];
  const bool seconds = parameter == Parameter::mtt || parameter == Parameter::tmax;  // noise alone goes beyond
  if (seconds || !(typical_high > high)) return {0.0, high};
  const double decade = std::pow(10.0, std::floor(std::log10(typical_high)));
  for (double step : {1.0, 1.5, 2.0, 3.0, 5.0, 7.0})
    if (step * decade >= typical_high) return {0.0, step * decade};
  return {0.0, 10.0 * decade};
}

DisplayRange difference_range(const DisplayRange& map) { return {-0.4 * map.high, 0.4 * map.high}; }

Flips display_flips(const std::array<double, 3>& x, const std::array<double, 3>& y) {
  const bool axial = std::abs(x[0]) > std::max(std::abs(x[1]), std::abs(x[2])) &&
                     std::abs(y[1]) > std::max(std::abs(y[0]), std::abs(y[2]));
  if (!axial) return {};
  return {x[0] > 0.0, y[1] > 0.0};
}

Image8 map_image(const Slice& slice, Palette palette, const DisplayRange& range, int scale, const Flips& flips) {
  require_size("map", slice.values.size(), slice.width, slice.height);
  if (!slice.mask.empty()) require_size("mask", slice.mask.size(), slice.width, slice.height);
  Image8 image(slice.width * scale, slice.height * scale, black);
  const auto& colours = palette_table(palette);
  for (std::int64_t y = 0; y < slice.height; ++y)
    for (std::int64_t x = 0; x < slice.width; ++x) {
      const auto i = static_cast<std::size_t>(y * slice.width + x);
      if (!slice.mask.empty() && slice.mask[i] == 0) continue;
      const double u = (static_cast<double>(slice.values[i]) - range.low) / (range.high - range.low);
      fill(image, placed(x, slice.width, flips.x, scale), placed(y, slice.height, flips.y, scale), scale, scale,
           std::isnan(u) ? palette_colour(palette, u)
                         : colours[static_cast<std::size_t>(std::lround(std::clamp(u, 0.0, 1.0) * last_colour))]);
    }
  return image;
}

void draw_outline(Image8& image, std::span<const std::uint8_t> mask, std::int64_t width, std::int64_t height, int scale,
                  const Flips& flips, Colour colour) {
  require_size("mask", mask.size(), width, height);
  const auto inside = [&](std::int64_t x, std::int64_t y) {
    return x >= 0 && y >= 0 && x < width && y < height && mask[static_cast<std::size_t>(y * width + x)] != 0;
  };
  const std::int64_t line = std::max(1, scale / 4);  // within the voxel: two touching masks keep their own lines
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      if (!inside(x, y)) continue;
      const std::int64_t left = placed(x, width, flips.x, scale);
      const std::int64_t top = placed(y, height, flips.y, scale);
      const std::int64_t right = left + scale - line;
      const std::int64_t bottom = top + scale - line;
      if (!inside(x - 1, y)) fill(image, flips.x ? right : left, top, line, scale, colour);
      if (!inside(x + 1, y)) fill(image, flips.x ? left : right, top, line, scale, colour);
      if (!inside(x, y - 1)) fill(image, left, flips.y ? bottom : top, scale, line, colour);
      if (!inside(x, y + 1)) fill(image, left, flips.y ? top : bottom, scale, line, colour);
    }
}

Image8 montage(std::span<const Image8> images, std::int64_t columns, int gap) {
  if (images.empty() || columns < 1) throw IoError("montage: no images, or no columns to set them in");
  const std::int64_t width = images[0].width;
  const std::int64_t height = images[0].height;
  const auto count = static_cast<std::int64_t>(images.size());
  columns = std::min(columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  Image8 all(columns * (width + gap) - gap, rows * (height + gap) - gap, black);
  for (std::int64_t i = 0; i < count; ++i) {
    const Image8& image = images[static_cast<std::size_t>(i)];
    if (image.width != width || image.height != height)
      throw IoError(fmt::format("montage: image {} is {} x {} pixels, the first {} x {}; all must be of one size",
                                i + 1, image.width, image.height, width, height));
    const std::int64_t left = i % columns * (width + gap);
    const std::int64_t top = i / columns * (height + gap);
    for (std::int64_t y = 0; y < height; ++y)
      std::copy_n(image.rgb.begin() + 3 * y * width, 3 * width, all.rgb.begin() + 3 * ((top + y) * all.width + left));
  }
  return all;
}

Image8 filter_image(std::span<const float> weights, std::int64_t rows, std::int64_t columns, int cell) {
  require_size("set of weights", weights.size(), columns, rows);
  const std::int64_t gap = std::max(1, cell / 4);
  Image8 image(columns * cell, rows * (cell + gap) - gap, black);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto filter = weights.subspan(static_cast<std::size_t>(r * columns), static_cast<std::size_t>(columns));
    const auto [low, high] = std::minmax_element(filter.begin(), filter.end());
    const double span = *high > *low ? *high - *low : 1.0;
    for (std::int64_t c = 0; c < columns; ++c)
      fill(image, c * cell, r * (cell + gap), cell, cell,
           palette_colour(Palette::grey, (filter[static_cast<std::size_t>(c)] - *low) / span));
  }
  return image;
}

Image8 colour_bar(Palette palette, std::int64_t width, std::int64_t height) {
  Image8 bar(width, height, black);
  for (std::int64_t x = 0; x < width; ++x)
    fill(bar, x, 0, 1, height, palette_colour(palette, (static_cast<double>(x) + 0.5) / static_cast<double>(width)));
  return bar;
}

std::vector<std::int64_t> slices_to_show(std::span<const std::uint8_t> mask, std::int64_t slice_voxels,
                                         std::int64_t count) {
  std::vector<std::int64_t> filled;
  const auto slices = static_cast<std::int64_t>(mask.size()) / slice_voxels;
  for (std::int64_t z = 0; z < slices; ++z)
    filled.push_back(slice_voxels -
                     std::count(mask.begin() + z * slice_voxels, mask.begin() + (z + 1) * slice_voxels, 0));
  const std::int64_t fullest = filled.empty() ? 0 : *std::max_element(filled.begin(), filled.end());
  std::vector<std::int64_t> candidates;
  for (std::int64_t z = 0; z < slices; ++z)
    if (fullest > 0 && 4 * filled[static_cast<std::size_t>(z)] >= fullest) candidates.push_back(z);
  const auto available = static_cast<std::int64_t>(candidates.size());
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < std::min(count, available); ++i)
    chosen.push_back(candidates[static_cast<std::size_t>((2 * i + 1) * available / (2 * std::min(count, available)))]);
  return chosen;
}

}  // namespace perfpipe
