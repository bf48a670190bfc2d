// Dense inference in single precision: every element is the same chain of fused multiply-adds as in the CPU's kernels
// (model/dense_kernel_impl.hpp), so the maps have the same bits. Bodies for any block (model/gpu/block.hpp).
#pragma once

#include "model/gpu/dense_slab.hpp"
#include "model/gpu/time_layers.hpp"

namespace perfpipe::gpu {

/// In the head each lane has four of 128 outputs, of 8 rows.
inline constexpr int exact_head_rows = 8;
inline constexpr int exact_windows_shared = chain_floats * feature_floats,
                     exact_windows_warp = exact_rows * chain_floats;
inline constexpr int exact_head_shared = 2 * chain_floats * chain_floats,
                     exact_head_warp = 2 * exact_head_rows * chain_floats;

/// Floats of shared memory for a block of this many warps.
constexpr int exact_windows_floats(int warps) { return exact_windows_shared + warps * exact_windows_warp; }
constexpr int exact_head_floats(int warps) { return exact_head_shared + warps * exact_head_warp; }

/// L1 to L3 of a slab's rows.
template <bool Pooled, class Block>
PERFPIPE_DEVICE void exact_features(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  const TimeWeights weights{w.conv1, w.conv1_bias, w.conv2, w.conv2_bias};
  const TimeRows rows{slab.rows, block.index(), block.blocks(), slab.l3, nullptr};
  const auto sample_at = [&](int row, int sample) { return scaled_sample<Block>(slab, w.factor, row, sample); };
  if constexpr (Pooled)
    pooled_layers(block, weights, rows, sample_at);
  else
    convolved_layers(block, weights, rows, sample_at);
}

/// L4 of all windows that touch a voxel inside.
template <class Block>
PERFPIPE_DEVICE void exact_windows(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  const int warps = block.threads() / warp_lanes, windows = slab.windows();
  block.each_thread(
      [&](int thread) { copy_by(thread, block.threads(), w.conv3, exact_windows_shared, block.shared()); });
  block.each_warp([&](const auto& warp) {
    float* const input = block.shared() + exact_windows_shared + warp.index() * exact_windows_warp;
    const int step = block.blocks() * warps * exact_rows;
    for (int tile = (block.index() * warps + warp.index()) * exact_rows; tile < windows; tile += step) {
      const auto source = [&](int r, int place) {
        if (tile + r >= windows) return 0;
        return corner_row(slab, place_of(tile + r, slab.ny + 1, slab.nx + 1), place);
      };
      if (!warp.any([&](int lane) {
            bool inside = false;
            for (int i = lane; i < 4 * exact_rows; i += warp_lanes) inside = inside || source(i / 4, i % 4) > 0;
            return inside;
          }))
        continue;
      warp.phase([&](int lane) {
        for (int i = 0; i < 4 * exact_rows; ++i)
          input[i * feature_floats + lane] = slab.l3[source(i / 4, i % 4) * feature_floats + lane];
      });
      warp.phase([&](int lane) {
        float sums[exact_rows];
        PERFPIPE_UNROLL
        for (int r = 0; r < exact_rows; ++r) sums[r] = w.conv3_bias[lane];
        add_product<exact_rows, chain_floats>(sums, input, block.shared(), chain_floats, lane);
        PERFPIPE_UNROLL
        for (int r = 0; r < exact_rows; ++r)
          if (tile + r < windows) slab.l4[(tile + r) * feature_floats + lane] = relu(sums[r]);
      });
    }
  });
}

/// A fully connected layer of 8 rows: the lane's outputs of all four panels.
PERFPIPE_DEVICE void connect(const float* input, const float* weights, const float* bias, int lane,
                             float (&output)[4][exact_head_rows]) {
  PERFPIPE_UNROLL
  for (int p = 0; p < 4; ++p) {
    PERFPIPE_UNROLL
    for (int r = 0; r < exact_head_rows; ++r) output[p][r] = bias[p * feature_floats + lane];
  }
  PERFPIPE_NO_UNROLL
  for (int k = 0; k < chain_floats; k += 4) {
    PERFPIPE_UNROLL
    for (int p = 0; p < 4; ++p) {
      const float* const at = weights + (p * chain_floats + k) * feature_floats + lane;
      PERFPIPE_UNROLL
      for (int r = 0; r < exact_head_rows; ++r) {
        const Quad x = quad_at(input + r * chain_floats + k);
        float& sum = output[p][r];
        sum = fused(x.y, at[feature_floats], fused(x.x, at[0], sum));
        sum = fused(x.w, at[3 * feature_floats], fused(x.z, at[2 * feature_floats], sum));
      }
    }
  }
}

/// L6 to L8 of the voxels inside.
template <class Block>
PERFPIPE_DEVICE void exact_head(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  const int warps = block.threads() / warp_lanes;
  float* const fc6 = block.shared();
  float* const fc7 = fc6 + chain_floats * chain_floats;
  block.each_thread([&](int thread) {
    copy_by(thread, block.threads(), w.fc6, chain_floats * chain_floats, fc6);
    copy_by(thread, block.threads(), w.fc7, chain_floats * chain_floats, fc7);
  });
  block.each_warp([&](const auto& warp) {
    float* const l5 = block.shared() + exact_head_shared + warp.index() * exact_head_warp;
    float* const l6 = l5 + exact_head_rows * chain_floats;
    const int step = block.blocks() * warps * exact_head_rows;
    for (int tile = 1 + (block.index() * warps + warp.index()) * exact_head_rows; tile < slab.rows; tile += step) {
      warp.phase([&](int lane) {
        for (int r = 0; r < exact_head_rows; ++r) {
          const Place voxel = voxel_place(slab, tile + r < slab.rows ? tile + r : slab.rows - 1);
          PERFPIPE_UNROLL
          for (int place = 0; place < 4; ++place)
            l5[r * chain_floats + place * feature_floats + lane] =
                slab.l4[window_of(slab, voxel, place) * feature_floats + lane];
        }
      });
      warp.phase([&](int lane) {
        float output[4][exact_head_rows];
        connect(l5, fc6, w.fc6_bias, lane, output);
        PERFPIPE_UNROLL
        for (int p = 0; p < 4; ++p) {
          PERFPIPE_UNROLL
          for (int r = 0; r < exact_head_rows; ++r)
            l6[r * chain_floats + p * feature_floats + lane] = relu(output[p][r]);
        }
      });
      typename std::decay_t<decltype(warp)>::template Registers<exact_head_rows> sums;
      warp.phase([&](int lane) {
        float output[4][exact_head_rows];
        connect(l6, fc7, w.fc7_bias, lane, output);
        PERFPIPE_UNROLL
        for (int r = 0; r < exact_head_rows; ++r) {
          float sum = 0.0f;
          PERFPIPE_UNROLL
          for (int p = 0; p < 4; ++p) sum = fused(relu(output[p][r]), w.fc8[p * feature_floats + lane], sum);
          sums.of(lane)[r] = sum;
        }
      });
      warp.add_by_halves(sums);
      warp.each_lane([&](int lane) {
        if (lane != 0) return;
        PERFPIPE_UNROLL
        for (int r = 0; r < exact_head_rows; ++r)
          keep_estimate<Block>(slab, tile + r, sums.of(lane)[r] + w.fc8_bias[0]);
      });
    }
  });
}

}  // namespace perfpipe::gpu
