// Sizes of the network's layers as the GPU's kernels use them (model/bicnn.hpp has the same as 64-bit numbers).
#pragma once

#include "model/gpu/block.hpp"

namespace perfpipe::gpu {

inline constexpr int curve_floats = 70, filter_taps = 36, l2_positions = 35, feature_floats = 32, chain_floats = 128,
                     patch_curves = 9, quadrant_floats = feature_floats * feature_floats;

/// Position of the upper left corner of a 2x2 window, or of a place in it, in a 3x3 patch.
PERFPIPE_ANYWHERE int corner_of(int window) { return window / 2 * 3 + window % 2; }

}  // namespace perfpipe::gpu
