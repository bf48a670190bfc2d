// What the kernels of dense inference on tensor cores share. Parts 1 computes in TF32, Parts 2 in nearly single
// precision with three products for one. Bodies for any block.
//
// A lane's two numbers of B for step s, tile n of 8 outputs stand at ((s * tiles + n) * 32 + lane) * 2 of a layer's
// fragments (model/gpu/dense_layout.hpp).
#pragma once

#include "model/gpu/dense_slab.hpp"
#include "model/gpu/tensor.hpp"

namespace perfpipe::gpu {

inline constexpr int tensor_rows = 32;   ///< of a warp's tile: two A operands, so that each B is used twice
inline constexpr int curve_stride = 76;  ///< rows four apart in banks: the eight rows of an operand never meet
inline constexpr int conv2_fragments = l2_positions * feature_floats * feature_floats;
inline constexpr int conv3_fragments = chain_floats * feature_floats, fc_fragments = chain_floats * chain_floats;

/// Floats of shared memory for a block of this many warps.
constexpr int tensor_features_floats(int warps, bool with_conv2) {
  return (with_conv2 ? conv2_fragments : 0) + warps * tensor_rows * curve_stride;
}
constexpr int tensor_windows_floats() { return conv3_fragments; }
constexpr int tensor_head_floats() { return 2 * fc_fragments; }

template <class Warp, int Parts>
PERFPIPE_DEVICE void read_fragment(const Warp& warp, const float* fragments, int place,
                                   Operand<Warp, Parts, 2>& operand) {
  warp.each_lane([&](int lane) {
    const Pair b = pair_at(fragments + (place * warp_lanes + lane) * 2);
    operand.set_stored(lane, 0, b.x);
    operand.set_stored(lane, 1, b.y);
  });
}

/// Biases of eight outputs (or zeros) as the first value of their sums.
template <class Warp>
PERFPIPE_DEVICE void start_sums(const Warp& warp, const float* bias, int first_output,
                                typename Warp::template Registers<4>& sums) {
  warp.each_lane([&](int lane) {
    PERFPIPE_UNROLL
    for (int i = 0; i < 4; ++i) sums.of(lane)[i] = bias ? bias[first_output + lane % 4 * 2 + i % 2] : 0.0f;
  });
}

/// Writes C [16, 8] to rows of 32 floats, those below `rows`, after ReLU.
template <class Warp>
PERFPIPE_DEVICE void store_relu(const Warp& warp, const typename Warp::template Registers<4>& sums, int first_row,
                                int rows, int first_column, float* to) {
  warp.each_lane([&](int lane) {
    PERFPIPE_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + 8 * half + lane / 4;
      if (row >= rows) continue;
      const auto& c = sums.of(lane);
      *reinterpret_cast<Pair*>(to + static_cast<long long>(row) * feature_floats + first_column + lane % 4 * 2) = {
          relu(c[2 * half]), relu(c[2 * half + 1])};
    }
  });
}

/// C after ReLU as the left operand of the next product.
template <class Warp, int Parts>
PERFPIPE_DEVICE void chain(const Warp& warp, const typename Warp::template Registers<4>& sums,
                           Operand<Warp, Parts, 4>& operand) {
  warp.each_lane([&](int lane) {
    PERFPIPE_UNROLL
    for (int i = 0; i < 4; ++i) operand.set(lane, i, relu(sums.of(lane)[chained_element(i)]));
  });
}

}  // namespace perfpipe::gpu
