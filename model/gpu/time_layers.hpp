// L1 to L3 of any curves in single precision, for dense inference and for training. Every element is the same chain of
// fused multiply-adds as in the CPU's kernels (model/dense_kernel_impl.hpp).
#pragma once

#include "model/gpu/block.hpp"
#include "model/gpu/sizes.hpp"

namespace perfpipe::gpu {

/// Rows that a warp takes at once, each lane one of 32 maps: a weight that a lane reads is used 16 times.
inline constexpr int exact_rows = 16;
inline constexpr int exact_chunk = 7;  ///< positions of L2 that are made and used up together
inline constexpr int exact_curve_stride = 72, exact_l2_row = exact_chunk * feature_floats;
inline constexpr int exact_conv2_chunk = exact_l2_row * feature_floats;
inline constexpr int exact_features_warp = exact_rows * (exact_curve_stride + exact_l2_row);
inline constexpr int exact_pooled_warp = exact_rows * exact_curve_stride;

/// Floats of shared memory for a block of this many warps.
constexpr int exact_features_floats(int warps) { return exact_conv2_chunk + warps * exact_features_warp; }
constexpr int exact_pooled_floats(int warps) { return warps * exact_pooled_warp; }

/// Weights of a chain's time layers: conv1 [36, 32], conv2 [35 * 32, 32].
struct TimeWeights {
  const float *conv1, *conv1_bias, *conv2, *conv2_bias;
};

/// Rows that some blocks share: this one is the `block`th of `blocks`.
struct TimeRows {
  int rows, block, blocks;
  float* l3;    ///< [rows, 32]
  int* winner;  ///< [rows, 32] with max-pooling: the first position that has the maximum; may be null
};

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

/// The curves of a warp's rows: sample_at(row, sample), zeros behind the last row.
template <class SampleAt>
PERFPIPE_DEVICE void load_curves(const SampleAt& sample_at, const TimeRows& rows, int first_row, int lane,
                                 float* curves) {
  for (int i = lane; i < exact_rows * curve_floats; i += warp_lanes) {
    const int row = i / curve_floats, sample = i % curve_floats;
    curves[row * exact_curve_stride + sample] = first_row + row < rows.rows ? sample_at(first_row + row, sample) : 0.0f;
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

/// L1 to L3 with two convolutions. Uses exact_features_floats() of shared memory.
template <class Block, class SampleAt>
PERFPIPE_DEVICE void convolved_layers(const Block& block, const TimeWeights& w, const TimeRows& rows,
                                      const SampleAt& sample_at) {
  const int rows_of_block = block.threads() / warp_lanes * exact_rows;
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
  for (int tile = rows.block * rows_of_block; tile < rows.rows; tile += rows.blocks * rows_of_block) {
    const auto first_row = [&](int thread) { return tile + thread / warp_lanes * exact_rows; };
    block.each_thread([&](int thread) {
      const int lane = thread % warp_lanes;
      load_curves(sample_at, rows, first_row(thread), lane, curves_of(thread));
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
        if (const int row = first_row(thread) + r; row < rows.rows)
          rows.l3[row * feature_floats + thread % warp_lanes] = relu(sums.of(thread)[r]);
    });
  }
}

/// L1 to L3 with max-pooling: bias and ReLU after the maximum, as on the CPU. Uses exact_pooled_floats().
template <class Block, class SampleAt>
PERFPIPE_DEVICE void pooled_layers(const Block& block, const TimeWeights& w, const TimeRows& rows,
                                   const SampleAt& sample_at) {
  const int warps = block.threads() / warp_lanes;
  block.each_warp([&](const auto& warp) {
    float* const curves = block.shared() + warp.index() * exact_pooled_warp;
    typename std::decay_t<decltype(warp)>::template Registers<filter_taps> filter;
    warp.each_lane([&](int lane) {
      PERFPIPE_UNROLL
      for (int k = 0; k < filter_taps; ++k) filter.of(lane)[k] = w.conv1[k * feature_floats + lane];
    });
    const int step = rows.blocks * warps * exact_rows;
    for (int tile = (rows.block * warps + warp.index()) * exact_rows; tile < rows.rows; tile += step) {
      warp.phase([&](int lane) { load_curves(sample_at, rows, tile, lane, curves); });
      warp.phase([&](int lane) {
        PERFPIPE_NO_UNROLL
        for (int r = 0; r < exact_rows && tile + r < rows.rows; ++r) {
          float best = 0.0f;
          int winner = 0;
          PERFPIPE_NO_UNROLL
          for (int first = 0; first < l2_positions; first += exact_chunk) {
            float at[exact_chunk] = {};
            convolve(curves + r * exact_curve_stride + first, filter.of(lane), at);
            PERFPIPE_UNROLL
            for (int t = 0; t < exact_chunk; ++t) {
              if (first + t > 0 && at[t] > best) winner = first + t;
              best = first + t > 0 && best > at[t] ? best : at[t];
            }
          }
          rows.l3[(tile + r) * feature_floats + lane] = relu(best + w.conv1_bias[lane]);
          if (rows.winner != nullptr) rows.winner[(tile + r) * feature_floats + lane] = winner;
        }
      });
    }
  });
}

}  // namespace perfpipe::gpu
