// Pictures of maps for the report and the exported PNG: colours, enlarged slices, outlines, rows of panels.
#pragma once

#include "core/parameters.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

using Colour = std::array<std::uint8_t, 3>;

/// RGB image, rows from the top.
struct Image8 {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> rgb;

  /// An image of one colour.
  Image8(std::int64_t w, std::int64_t h, Colour fill);
  Colour at(std::int64_t x, std::int64_t y) const;
  void set(std::int64_t x, std::int64_t y, Colour colour);
};

/// `sequential` runs from near black over violet and red to light yellow, `diverging` from light blue over near black
/// to light orange (a difference of 0 melts into the background); both are even steps of lightness in OKLab (Ottosson
/// 2020), so that equal differences look equal, also to the colour-blind and in grey print.
enum class Palette { sequential, diverging, grey };

/// Colour at position `u` of a palette, clamped to [0, 1]. NaN gives magenta, which is in no palette.
Colour palette_colour(Palette palette, double u);

/// The values that the two ends of a palette stand for.
struct DisplayRange {
  double low;
  double high;
};

/// Usual windows (CBF 0-100 ml/100g/min, CBV 0-8 ml/100g, MTT 0-16 s, Tmax 0-12 s), the same for every patient of a
/// report. CBF and CBV, whose scale may be arbitrary, widen if `typical_high` (say a median of 95th percentiles) is
/// beyond: to the next of 1, 1.5, 2, 3, 5, 7 times a power of ten.
DisplayRange display_range(Parameter parameter, double typical_high);
/// Symmetric window for differences: 40 % of the map's.
DisplayRange difference_range(const DisplayRange& map);

/// How a stored slice is turned for display: anterior up, and the patient's right on the left (radiological).
struct Flips {
  bool x = false;
  bool y = false;
};

/// From the first two columns of a voxel-to-RAS+ matrix. Slices that are not near axial are shown as stored.
Flips display_flips(const std::array<double, 3>& x_direction, const std::array<double, 3>& y_direction);

/// One slice as stored: `width` x `height` voxels, x fastest. An empty mask means everything.
struct Slice {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::span<const float> values;
  std::span<const std::uint8_t> mask;
};

/// The slice in colours, each voxel `scale` x `scale` pixels; what is outside the mask is black.
/// Throws IoError if values or mask do not have width x height elements.
Image8 map_image(const Slice& slice, Palette palette, const DisplayRange& range, int scale, const Flips& flips);

/// Draws the border of `mask` (width x height as stored) over an image made by map_image with the same scale and flips.
void draw_outline(Image8& image, std::span<const std::uint8_t> mask, std::int64_t width, std::int64_t height, int scale,
                  const Flips& flips, Colour colour);

/// Sets images of one size side by side, `columns` in a row, with `gap` black pixels between. Throws IoError on other
/// sizes.
Image8 montage(std::span<const Image8> images, std::int64_t columns, int gap);

/// Weights of `rows` filters with `columns` taps in grey, each row from its smallest (black) to its largest tap
/// (white), as in the paper's figure 3; `cell` pixels per tap.
Image8 filter_image(std::span<const float> weights, std::int64_t rows, std::int64_t columns, int cell);

/// A horizontal strip of the palette, for legends.
Image8 colour_bar(Palette palette, std::int64_t width, std::int64_t height);

/// `count` slices to show out of a (z, y, x) mask, in order: spread evenly over the slices with at least a quarter of
/// the fullest slice's voxels; fewer if there are fewer. Empty for an empty mask.
std::vector<std::int64_t> slices_to_show(std::span<const std::uint8_t> mask, std::int64_t slice_voxels,
                                         std::int64_t count);

}  // namespace perfpipe
