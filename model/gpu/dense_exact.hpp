// Dense inference in single precision: every element is the same chain of fused multiply-adds as in the CPU's kernels
// (model/dense_kernel_impl.hpp), so the maps have the same bits. Bodies for any block (model/gpu/block.hpp).
#pragma once

#include "model/gpu/dense_slab.hpp"

namespace perfpipe::gpu {

/// Rows that a warp takes through L1 to L3 and through L4 at once, each lane one of 32 maps: a weight that a lane reads
/// is used 16 times. In the head each lane has four of 128 outputs, of 8 rows.
inline constexpr int exact_rows = 16, exact_head_rows = 8;
inline constexpr int exact_chunk = 7;  ///< positions of L2 that are made and used up together
inline constexpr int exact_curve_stride = 72, exact_l2_row = exact_chunk * feature_floats;

inline constexpr int exact_conv2_chunk = exact_l2_row * feature_floats;
inline constexpr int exact_features_warp = exact_rows * (exact_curve_stride + exact_l2_row);
inline constexpr int exact_pooled_warp = exact_rows * exact_curve_stride;
inline constexpr int exact_windows_shared = chain_floats * feature_floats,
                     exact_windows_warp = exact_rows * chain_floats;
inline constexpr int exact_head_shared = 2 * chain_floats * chain_floats,
                     exact_head_warp = 2 * exact_head_rows * chain_floats;

/// Floats of shared memory for a block of this many warps.
constexpr int exact_features_floats(int warps) { return exact_conv2_chunk + warps * exact_features_warp; }
constexpr int exact_pooled_floats(int warps) { return warps * exact_pooled_warp; }
constexpr int exact_windows_floats(int warps) { return exact_windows_shared + warps * exact_windows_warp; }
constexpr int exact_head_floats(int warps) { return exact_head_shared + warps * exact_head_warp; }

/// sums[r] += row r of `input` (Stride apart) times the lane's column of `weights` [depth, 32].
template <int Rows, int Stride>
PERFPIPE_DEVICE void add_product(float (&sums)[Rows], const float* input, const float* weights, int depth, int lane) {
  PERFPIPE_NO_UNROLL
  for (int k = 0; k < depth; k += 4) {
    float w[4];
    PERFPIPE_UNROLL
    for (int i = 0; i < 4; ++i) w[i] = weights[(k + i) * feature_floats + lane];
    PERFPIPE_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const Quad x = quad_at(input + r * Stride + k);
      sums[r] = fused(x.w, w[3], fused(x.z, w[2], fused(x.y, w[1], fused(x.x, w[0], sums[r]))));
    }
  }
}

/// Copies `count` floats by all threads of a block.
PERFPIPE_DEVICE void copy_by(int thread, int threads, const float* from, int count, float* to) {
  for (int i = 4 * thread; i < count; i += 4 * threads) *reinterpret_cast<Quad*>(to + i) = quad_at(from + i);
}

/// The scaled curves of a warp's rows.
template <class Block>
PERFPIPE_DEVICE void load_curves(const DenseSlab& slab, float factor, int first_row, int lane, float* curves) {
  for (int i = lane; i < exact_rows * curve_floats; i += warp_lanes) {
    const int row = i / curve_floats, sample = i % curve_floats;
    curves[row * exact_curve_stride + sample] = scaled_sample<Block>(slab, factor, first_row + row, sample);
  }
}

/// Seven neighbouring positions of L2 for one map, from the 42 samples that they see.
PERFPIPE_DEVICE void convolve(const float* curve, const float (&filter)[filter_taps], float (&at)[exact_chunk]) {
  PERFPIPE_UNROLL
  for (int s = 0; s < filter_taps + exact_chunk - 1; ++s) {
    const float x = curve[s];
    PERFPIPE_UNROLL
    for (int t = 0; t < exact_chunk; ++t)
      if (s - t >= 0 && s - t < filter_taps) at[t] = fused(x, filter[s - t], at[t]);
  }
}

/// L1 to L3 with two convolutions.
template <class Block>
PERFPIPE_DEVICE void exact_features(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  const int warps = block.threads() / warp_lanes, rows_of_block = warps * exact_rows;
  float* const conv2 = block.shared();
  const auto curves_of = [&](int thread) {
    return block.shared() + exact_conv2_chunk + thread / warp_lanes * exact_features_warp;
  };
  const auto l2_of = [&](int thread) { return curves_of(thread) + exact_rows * exact_curve_stride; };
  typename Block::template Registers<filter_taps> filter;
  typename Block::template Registers<exact_rows> sums;
  block.each_thread([&](int thread) {
    PERFPIPE_UNROLL
    for (int k = 0; k < filter_taps; ++k) filter.of(thread)[k] = w.conv1[k * feature_floats + thread % warp_lanes];
  });
  for (int tile = block.index() * rows_of_block; tile < slab.rows; tile += block.blocks() * rows_of_block) {
    const auto first_row = [&](int thread) { return tile + thread / warp_lanes * exact_rows; };
    block.each_thread([&](int thread) {
      const int lane = thread % warp_lanes;
      load_curves<Block>(slab, w.factor, first_row(thread), lane, curves_of(thread));
      PERFPIPE_UNROLL
      for (int r = 0; r < exact_rows; ++r) sums.of(thread)[r] = w.conv2_bias[lane];
    });
    PERFPIPE_NO_UNROLL
    for (int chunk = 0; chunk < l2_positions / exact_chunk; ++chunk) {
      block.each_thread([&](int thread) {
        copy_by(thread, block.threads(), w.conv2 + chunk * exact_conv2_chunk, exact_conv2_chunk, conv2);
        const int lane = thread % warp_lanes;
        PERFPIPE_NO_UNROLL
        for (int r = 0; r < exact_rows; ++r) {
          float at[exact_chunk];
          PERFPIPE_UNROLL
          for (int t = 0; t < exact_chunk; ++t) at[t] = w.conv1_bias[lane];
          convolve(curves_of(thread) + r * exact_curve_stride + chunk * exact_chunk, filter.of(thread), at);
          PERFPIPE_UNROLL
          for (int t = 0; t < exact_chunk; ++t)
            l2_of(thread)[r * exact_l2_row + t * feature_floats + lane] = relu(at[t]);
        }
      });
      block.each_thread([&](int thread) {
        add_product<exact_rows, exact_l2_row>(sums.of(thread), l2_of(thread), conv2, exact_l2_row, thread % warp_lanes);
      });
    }
    block.each_thread([&](int thread) {
      PERFPIPE_UNROLL
      for (int r = 0; r < exact_rows; ++r)
        if (const int row = first_row(thread) + r; row < slab.rows)
          slab.l3[row * feature_floats + thread % warp_lanes] = relu(sums.of(thread)[r]);
    });
  }
}

/// L1 to L3 with max-pooling: bias and ReLU after the maximum, as on the CPU.
template <class Block>
PERFPIPE_DEVICE void exact_pooled_features(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  const int warps = block.threads() / warp_lanes;
  block.each_warp([&](const auto& warp) {
    float* const curves = block.shared() + warp.index() * exact_pooled_warp;
    typename std::decay_t<decltype(warp)>::template Registers<filter_taps> filter;
    warp.each_lane([&](int lane) {
      PERFPIPE_UNROLL
      for (int k = 0; k < filter_taps; ++k) filter.of(lane)[k] = w.conv1[k * feature_floats + lane];
    });
    const int step = block.blocks() * warps * exact_rows;
    for (int tile = (block.index() * warps + warp.index()) * exact_rows; tile < slab.rows; tile += step) {
      warp.phase([&](int lane) { load_curves<Block>(slab, w.factor, tile, lane, curves); });
      warp.phase([&](int lane) {
        PERFPIPE_NO_UNROLL
        for (int r = 0; r < exact_rows && tile + r < slab.rows; ++r) {
          float best = 0.0f;
          PERFPIPE_NO_UNROLL
          for (int first = 0; first < l2_positions; first += exact_chunk) {
            float at[exact_chunk] = {};
            convolve(curves + r * exact_curve_stride + first, filter.of(lane), at);
            PERFPIPE_UNROLL
            for (int t = 0; t < exact_chunk; ++t) best = first + t > 0 && best > at[t] ? best : at[t];
          }
          slab.l3[(tile + r) * feature_floats + lane] = relu(best + w.conv1_bias[lane]);
        }
      });
    }
  });
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
