// What the kernels of dense inference work on: a slab's voxels inside the brain one after the other, and a network.
#pragma once

#include "model/gpu/block.hpp"
#include "model/gpu/sizes.hpp"

namespace perfpipe::gpu {

/// A curve that is larger, once scaled, could overflow a network's sums (as in model/dense_inference.cpp).
inline constexpr float largest_input = 1e12f;
/// Where a DenseSlab's bad_curve and bad_estimate start.
inline constexpr int none_bad = 0x7fffffff;

/// Whole slices. Row 0 of everything is a voxel outside: a zero curve, whose features are a constant of the network.
struct DenseSlab {
  const float* curves;  ///< [rows, 70] concentration of the voxels inside
  const int* row_of;    ///< [slices, ny, nx] a voxel's row; 0 outside
  const int* voxel_of;  ///< [rows] a row's voxel
  int rows, slices, ny, nx;
  float* l3;          ///< [rows, 32]
  float* l4;          ///< [slices, ny + 1, nx + 1, 32]: window (y, x) lies between the voxels (y - 1, x - 1) and (y, x)
  float* estimates;   ///< [rows], clamped to >= 0
  int* bad_curve;     ///< the lowest row whose scaled curve is not within largest_input
  int* bad_estimate;  ///< the lowest row whose estimate is not finite

  PERFPIPE_DEVICE int windows() const { return slices * (ny + 1) * (nx + 1); }
};

/// A network's weights, in the order of the kernels that read them: DenseWeights' (model/dense_kernel.hpp) for the
/// exact ones, fragments (model/gpu/dense_layout.hpp) for those on tensor cores.
struct DenseLayers {
  const float *conv1, *conv1_bias, *conv2, *conv2_bias, *conv3, *conv3_bias;
  const float *fc6, *fc6_bias, *fc7, *fc7_bias, *fc8, *fc8_bias;
  float factor;  ///< of the curves
};

/// A voxel's place, of a row or of a window, in a slab with this many of them in a line and a slice.
struct Place {
  int z, y, x;
};
PERFPIPE_DEVICE Place place_of(int index, int lines, int width) {
  const int line = index / width;
  return {line / lines, line % lines, index % width};
}

/// Rows of L3 at the four corners of a window; `place` = dy * 2 + dx.
PERFPIPE_DEVICE int corner_row(const DenseSlab& slab, const Place& window, int place) {
  const int y = window.y - 1 + place / 2, x = window.x - 1 + place % 2;
  if (y < 0 || x < 0 || y >= slab.ny || x >= slab.nx) return 0;
  return slab.row_of[(window.z * slab.ny + y) * slab.nx + x];
}

/// The four windows of a row's voxel.
PERFPIPE_DEVICE int window_of(const DenseSlab& slab, const Place& voxel, int place) {
  return (voxel.z * (slab.ny + 1) + voxel.y + place / 2) * (slab.nx + 1) + voxel.x + place % 2;
}
PERFPIPE_DEVICE Place voxel_place(const DenseSlab& slab, int row) {
  return place_of(slab.voxel_of[row], slab.ny, slab.nx);
}

/// A scaled sample of a curve; rows behind the last are zeros.
template <class Block>
PERFPIPE_DEVICE float scaled_sample(const DenseSlab& slab, float factor, int row, int sample) {
  if (row >= slab.rows) return 0.0f;
  const float x = slab.curves[static_cast<long long>(row) * curve_floats + sample] * factor;
  if (!(magnitude(x) < largest_input)) Block::lower(slab.bad_curve, row);
  return x;
}

/// Keeps an estimate, or says that it is not finite.
template <class Block>
PERFPIPE_DEVICE void keep_estimate(const DenseSlab& slab, int row, float estimate) {
  if (row >= slab.rows) return;
  if (!is_finite(estimate)) Block::lower(slab.bad_estimate, row);
  slab.estimates[row] = estimate > 0.0f ? estimate : 0.0f;
}

}  // namespace perfpipe::gpu
