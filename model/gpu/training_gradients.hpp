// Gradients of L4 to L8 of the tissue chain: sums of outer products over the mini-batch's shards.
#pragma once

#include "model/gpu/ordered_sum.hpp"
#include "model/gpu/training_view.hpp"

namespace perfpipe::gpu {

/// Rows of factors that are in shared memory at once. A block has 256 threads, 4 x 4 sums each.
inline constexpr int outer_rows = 16, outer_threads = 256;
inline constexpr int outer_side = 64;  ///< of a block's part of fc6 or fc7
/// Four parts of fc7, four of fc6, conv3, what is a vector, and what is summed of errors and of L6's gradients.
inline constexpr int outer_blocks = 11;
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

/// A quarter of a layer [128, 128], from a shard's samples.
template <class Block>
PERFPIPE_DEVICE void connected_gradient(const Block& block, int quarter, const ShardSamples& samples,
                                        const float* input, const float* d_output, const ShardSums& sums,
                                        std::size_t layer) {
  const int first_input = quarter / 2 * outer_side, first_output = quarter % 2 * outer_side;
  outer_sum<outer_side, outer_side>(
      block, samples.end - samples.begin,
      [&](int s, int i) { return input[(samples.begin + s) * chain_floats + first_input + i]; },
      [&](int s, int i) { return d_output[(samples.begin + s) * chain_floats + first_output + i]; },
      [&](int i, int j, float sum) {
        const int in = first_input + i, out = first_output + j;
        sums.keep(
            sums.gradient[layer + static_cast<std::size_t>((out / feature_floats * chain_floats + in) * feature_floats +
                                                           out % feature_floats)],
            sum);
      });
}

template <class Block>
PERFPIPE_DEVICE void window_gradient(const Block& block, const NetworkView& net, const ShardSamples& samples,
                                     const ShardSums& sums) {
  const float* const l3 = net.at.l3 + samples.begin * patch_curves * feature_floats;
  const float* const d_l4 = net.at.d_l4 + samples.begin * chain_floats;
  outer_sum<chain_floats, feature_floats>(
      block, (samples.end - samples.begin) * 4,
      [&](int row, int i) {
        const int position = corner_of(row % 4) + corner_of(i / feature_floats);
        return l3[(row / 4 * patch_curves + position) * feature_floats + i % feature_floats];
      },
      [&](int row, int i) { return d_l4[row * feature_floats + i]; },
      [&](int i, int j, float sum) {
        sums.keep(sums.gradient[net.layout.tissue.conv3 + static_cast<std::size_t>(i * feature_floats + j)], sum);
      });
}

/// fc8, and biases.
template <class Block>
PERFPIPE_DEVICE void vector_gradients(const Block& block, const NetworkView& net, const ShardSamples& samples,
                                      const ShardSums& sums) {
  const auto& at = net.at;
  block.each_thread([&](int thread) {
    const auto keep = [&](std::size_t offset, int i, float sum) {
      sums.keep(sums.gradient[offset + static_cast<std::size_t>(i)], sum);
    };
    float sum = 0.0f;
    const int i = thread % chain_floats;
    if (thread < chain_floats) {
      for (int s = samples.begin; s < samples.end; ++s)
        sum = fused(at.d_estimates[s], at.l7[s * chain_floats + i], sum);
      keep(net.layout.fc8, i, sum);
    } else {
      for (int s = samples.begin; s < samples.end; ++s) sum += at.d_l7[s * chain_floats + i];
      keep(net.layout.fc7_bias, i, sum);
    }
    sum = 0.0f;
    if (thread < feature_floats) {
      for (int row = 4 * samples.begin; row < 4 * samples.end; ++row) sum += at.d_l4[row * feature_floats + thread];
      keep(net.layout.tissue.conv3_bias, thread, sum);
    } else if (thread == feature_floats) {
      for (int s = samples.begin; s < samples.end; ++s) sum += at.d_estimates[s];
      keep(net.layout.fc8_bias, 0, sum);
    }
  });
}

/// L6's gradient summed for each patient, from which the AIF chain's follow, and the loss.
template <class Block>
PERFPIPE_DEVICE void patient_sums(const Block& block, const NetworkView& net, const Step& step, const Piece& piece,
                                  const ShardSamples& samples, const ShardSums& sums) {
  block.each_thread([&](int thread) {
    for (int i = thread; i < piece.set->patients * chain_floats; i += outer_threads) {
      float sum = 0.0f;
      for (int s = samples.begin; s < samples.end; ++s)
        if (piece.set->patient[sample_of(net, step, piece, s)] == i / chain_floats)
          sum += net.at.d_l6[s * chain_floats + i % chain_floats];
      sums.keep(sums.d_part[i], sum);
    }
  });
  const double loss = ordered_sum(block, samples.end - samples.begin, reinterpret_cast<double*>(block.shared()),
                                  [&](int s) { return net.at.squared_errors[samples.begin + s]; });
  block.each_thread([&](int thread) {
    if (thread == 0) sums.keep(*sums.loss, loss);
  });
}

/// For outer_threads threads and outer_floats() of shared memory.
template <class Block>
PERFPIPE_DEVICE void head_gradients(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const Piece piece = piece_of(net, step);
  if (piece.whole <= 0) return;
  const auto& at = net.at;
  const int part = block.index();
  PERFPIPE_NO_UNROLL
  for (int shard = step.first_shard; shard < step.end_shard; ++shard) {
    const ShardSamples samples = samples_of(step, piece, shard);
    const ShardSums sums = sums_of(net, shard);
    if (part < 4)
      connected_gradient(block, part, samples, at.l6, at.d_l7, sums, net.layout.fc7);
    else if (part < 8)
      connected_gradient(block, part - 4, samples, at.l4, at.d_l6, sums, net.layout.fc6);
    else if (part == 8)
      window_gradient(block, net, samples, sums);
    else if (part == 9)
      vector_gradients(block, net, samples, sums);
    else
      patient_sums(block, net, step, piece, samples, sums);
  }
}

}  // namespace perfpipe::gpu
