// A network's weights as the GPU's kernels of dense inference read them, in one piece.
#pragma once

#include "model/dense_kernel.hpp"

#include <array>
#include <cstddef>
#include <vector>

namespace perfpipe::gpu {

/// What the products are computed in.
enum class Arithmetic {
  exact,      ///< single precision: the bits of the CPU's kernels with fused multiply-add
  tf32,       ///< tensor cores, 10 bits of mantissa
  tf32_twice  ///< tensor cores, numbers split in two: nearly single precision with three products for one
};

/// Places in PackedLayers::offsets.
enum LayerPart {
  conv1_part,
  conv1_bias_part,
  conv2_part,
  conv2_bias_part,
  conv3_part,
  conv3_bias_part,
  fc6_part,
  fc6_bias_part,
  fc7_part,
  fc7_bias_part,
  fc8_part,
  fc8_bias_part,
  layer_parts
};

/// All parts one after the other, each at a multiple of 16 floats. With max-pooling conv2 is empty.
struct PackedLayers {
  std::vector<float> floats;
  std::array<std::size_t, layer_parts> offsets{};
  bool pooled = false;
};

PackedLayers pack_layers(const DenseWeights& weights, Arithmetic arithmetic);

}  // namespace perfpipe::gpu
