// Gradients of L4 to L8 of the tissue chain: sums of outer products over the mini-batch.
#pragma once

#include "model/gpu/training_view.hpp"

namespace perfpipe::gpu {

/// Rows of factors that are in shared memory at once. A block has 256 threads, 4 x 4 sums each.
inline constexpr int outer_rows = 16, outer_threads = 256;
inline constexpr int outer_side = 64;  ///< of a block's part of fc6 or fc7
/// Four parts of fc7, four of fc6, conv3, and what is a vector.
inline constexpr int outer_blocks = 10;
constexpr int outer_floats() { return outer_rows * (chain_floats + feature_floats); }

/// gradient [Left, Right], a thread's 4 x 4 sums kept by keep(left, right, sum): the sum over `rows` rows of
/// left_at(row, i) and right_at(row, j).
template <int Left, int Right, class Block, class LeftAt, class RightAt, class Keep>
PERFPIPE_DEVICE void outer_sum(const Block& block, int rows, const LeftAt& left_at, const RightAt& right_at,
                               const Keep& keep) {
  static_assert(Left * Right == 16 * outer_threads, "a tile for each thread");
  float* const left = block.shared();
  float* const right = left + outer_rows * Left;
  typename Block::template Registers<16> sums;
  block.each_thread([&](int thread) {
    PERFPIPE_UNROLL
    for (int i = 0; i < 16; ++i) sums.of(thread)[i] = 0.0f;
  });
  for (int first = 0; first < rows; first += outer_rows) {
    block.each_thread([&](int thread) {
      for (int i = thread; i < outer_rows * Left; i += outer_threads)
        left[i] = first + i / Left < rows ? left_at(first + i / Left, i % Left) : 0.0f;
      for (int i = thread; i < outer_rows * Right; i += outer_threads)
        right[i] = first + i / Right < rows ? right_at(first + i / Right, i % Right) : 0.0f;
    });
    block.each_thread([&](int thread) {
      auto& sum = sums.of(thread);
      const float* x = left + thread / (Right / 4) * 4;
      const float* y = right + thread % (Right / 4) * 4;
      PERFPIPE_UNROLL
      for (int r = 0; r < outer_rows; ++r, x += Left, y += Right) {
        const Quad p = quad_at(x), q = quad_at(y);
        const float a[4] = {p.x, p.y, p.z, p.w}, b[4] = {q.x, q.y, q.z, q.w};
        PERFPIPE_UNROLL
        for (int i = 0; i < 16; ++i) sum[i] = fused(a[i / 4], b[i % 4], sum[i]);
      }
    });
  }
  block.each_thread([&](int thread) {
    PERFPIPE_UNROLL
    for (int i = 0; i < 16; ++i)
      keep(thread / (Right / 4) * 4 + i / 4, thread % (Right / 4) * 4 + i % 4, sums.of(thread)[i]);
  });
}

/// A quarter of a layer [128, 128].
template <class Block>
PERFPIPE_DEVICE void connected_gradient(const Block& block, int quarter, int samples, const float* input,
                                        const float* d_output, float* gradient) {
  const int first_input = quarter / 2 * outer_side, first_output = quarter % 2 * outer_side;
  outer_sum<outer_side, outer_side>(
      block, samples, [&](int s, int i) { return input[s * chain_floats + first_input + i]; },
      [&](int s, int i) { return d_output[s * chain_floats + first_output + i]; },
      [&](int i, int j, float sum) {
        const int in = first_input + i, out = first_output + j;
        gradient[(out / feature_floats * chain_floats + in) * feature_floats + out % feature_floats] = sum;
      });
}

/// For outer_threads threads and outer_floats() of shared memory.
template <class Block>
PERFPIPE_DEVICE void head_gradients(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const Piece piece = piece_of(net, step);
  if (piece.count <= 0) return;
  const auto& at = net.at;
  const int part = block.index(), samples = piece.count;
  float* const g = net.gradient;
  if (part < 4) return connected_gradient(block, part, samples, at.l6, at.d_l7, g + net.layout.fc7);
  if (part < 8) return connected_gradient(block, part - 4, samples, at.l4, at.d_l6, g + net.layout.fc6);
  if (part == 8)
    return outer_sum<chain_floats, feature_floats>(
        block, samples * 4,
        [&](int row, int i) {
          const int position = corner_of(row % 4) + corner_of(i / feature_floats);
          return at.l3[(row / 4 * patch_curves + position) * feature_floats + i % feature_floats];
        },
        [&](int row, int i) { return at.d_l4[row * feature_floats + i]; },
        [&](int i, int j, float sum) {
          g[net.layout.tissue.conv3 + static_cast<std::size_t>(i * feature_floats + j)] = sum;
        });
  block.each_thread([&](int thread) {
    float sum = 0.0f;
    const int i = thread % chain_floats;
    if (thread < chain_floats) {
      for (int s = 0; s < samples; ++s) sum = fused(at.d_estimates[s], at.l7[s * chain_floats + i], sum);
      g[net.layout.fc8 + static_cast<std::size_t>(i)] = sum;
    } else {
      for (int s = 0; s < samples; ++s) sum += at.d_l7[s * chain_floats + i];
      g[net.layout.fc7_bias + static_cast<std::size_t>(i)] = sum;
    }
    sum = 0.0f;
    if (thread < feature_floats) {
      for (int row = 0; row < 4 * samples; ++row) sum += at.d_l4[row * feature_floats + thread];
      g[net.layout.tissue.conv3_bias + static_cast<std::size_t>(thread)] = sum;
    } else if (thread == feature_floats) {
      for (int s = 0; s < samples; ++s) sum += at.d_estimates[s];
      g[net.layout.fc8_bias] = sum;
    }
  });
}

}  // namespace perfpipe::gpu
