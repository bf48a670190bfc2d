// The way back through the AIF chain, and the gradients of both chains' time layers.
#pragma once

#include "model/gpu/training_view.hpp"

namespace perfpipe::gpu {

/// From L6's gradient, summed for each patient, back to the AIF's L3, with the gradients of all that lies between; one
/// block for each network.
/// The four windows of an AIF's patch are alike, so their weights get the same gradient.
template <class Block>
class ArteryBackward {
 public:
  PERFPIPE_DEVICE ArteryBackward(const Block& block, const NetworkView& net)
      : block_(block), net_(net), patients_(net.training.patients) {}

  PERFPIPE_DEVICE void run() {
    const auto& chain = net_.layout.artery;
    float* const g = net_.gradient;
    for_all(chain_floats, [&](int output) {
      float sum = 0.0f;
      for (int p = 0; p < patients_; ++p) sum += net_.at.d_part[p * chain_floats + output];
      g[net_.layout.fc6_bias + static_cast<std::size_t>(output)] = sum;
    });
    for_all(patients_ * feature_floats, [&](int i) {
      const float* const d = net_.at.d_part + i / feature_floats * chain_floats;
      const float* const w = net_.weights + net_.layout.fc6_artery + i % feature_floats * feature_floats;
      float sum = 0.0f;
      for (int output = 0; output < chain_floats; output += 4)
        for (int window = 0; window < 4; ++window)
          sum = add_quads(w + (output / feature_floats * 4 + window) * quadrant_floats + output % feature_floats,
                          d + output, sum);
      net_.at.aif_d_l4[i] = gate(net_.at.aif_l4[i], sum);
    });
    for_all(feature_floats * chain_floats, [&](int i) {  // fc6: input i / 128, output i % 128
      const int input = i / chain_floats, output = i % chain_floats;
      float sum = 0.0f;
      for (int p = 0; p < patients_; ++p)
        sum = fused(net_.at.aif_l4[p * feature_floats + input], net_.at.d_part[p * chain_floats + output], sum);
      float* const to = g + net_.layout.fc6_artery + output / feature_floats * 4 * quadrant_floats +
                        input * feature_floats + output % feature_floats;
      for (int window = 0; window < 4; ++window) to[window * quadrant_floats] = sum;
    });
    for_all(quadrant_floats, [&](int i) {  // conv3: input i / 32, output i % 32
      float sum = 0.0f;
      for (int p = 0; p < patients_; ++p)
        sum = fused(net_.at.aif_l3[p * feature_floats + i / feature_floats],
                    net_.at.aif_d_l4[p * feature_floats + i % feature_floats], sum);
      for (int place = 0; place < 4; ++place)
        g[chain.conv3 + static_cast<std::size_t>(place * quadrant_floats + i)] = sum;
    });
    for_all(feature_floats, [&](int map) {
      float sum = 0.0f;
      for (int p = 0; p < patients_; ++p) sum += net_.at.aif_d_l4[p * feature_floats + map];
      g[chain.conv3_bias + static_cast<std::size_t>(map)] = sum;
    });
    for_all(patients_ * feature_floats, [&](int i) {
      const float* const d = net_.at.aif_d_l4 + i / feature_floats * feature_floats;
      const float* const w = net_.weights + chain.conv3 + i % feature_floats * feature_floats;
      float sum = 0.0f;
      for (int output = 0; output < feature_floats; output += 4)
        for (int place = 0; place < 4; ++place) sum = add_quads(w + place * quadrant_floats + output, d + output, sum);
      net_.at.aif_d_l3[i] = gate(net_.at.aif_l3[i], sum);
    });
  }

 private:
  template <class Work>
  PERFPIPE_DEVICE void for_all(int count, const Work& work) {
    block_.each_thread([&](int thread) {
      for (int i = thread; i < count; i += block_.threads()) work(i);
    });
  }
  static PERFPIPE_DEVICE float add_quads(const float* a, const float* b, float sum) {
    const Quad x = quad_at(a), y = quad_at(b);
    return fused(x.w, y.w, fused(x.z, y.z, fused(x.y, y.y, fused(x.x, y.x, sum))));
  }

  const Block& block_;
  const NetworkView& net_;
  int patients_;
};

template <class Block>
PERFPIPE_DEVICE void artery_backward(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  if (piece_of(net, step).whole > 0) ArteryBackward<Block>(block, net).run();
}

/// Rows that are gone through together, by 288 threads: nine warps make L2 and its gradient, four rows each; then two
/// halves of 144 threads take half of the rows each for the sums of outer products, 4 x 4 of them a thread.
inline constexpr int gradient_rows = 36, gradient_threads = 288, gradient_half = gradient_threads / 2;
inline constexpr int window_stride = 40, gradient_blocks = 2 * l2_positions;
constexpr int gradient_floats() { return gradient_rows * (window_stride + 3 * feature_floats); }

/// Some rows of a chain, and where their gradients go.
struct GradientPass {
  int begin, end;
  ShardSums sums;
};

/// A chain's rows: the tissue chain's shard by shard, the AIF chain's at once.
struct GradientRows {
  const ChainLayout& chain;
  const float *curves, *d_l3;
  const int* winner;
  const NetworkView& net;
  const Step& step;
  const Piece& piece;
  bool tissue;

  PERFPIPE_DEVICE int first_pass() const { return tissue ? step.first_shard : 0; }
  PERFPIPE_DEVICE int end_pass() const { return tissue ? step.end_shard : 1; }
  PERFPIPE_DEVICE GradientPass pass(int i) const {
    if (!tissue) return {0, piece.set->patients, {nullptr, net.at.filter_parts[1], nullptr, net.gradient, false}};
    const ShardSamples samples = samples_of(step, piece, i);
    return {samples.begin * patch_curves, samples.end * patch_curves, sums_of(net, i)};
  }
};

/// Gradients of one position t of L2: its part of conv2, and what it adds to conv1. L2 is made once more: what 450 rows
/// would take to write and read is more than the 36 multiply-adds.
template <class Block>
PERFPIPE_DEVICE void position_gradients(const Block& block, const NetworkView& net, const GradientRows& in, int t) {
  float* const windows = block.shared();
  float* const d_l3 = windows + gradient_rows * window_stride;
  float* const l2 = d_l3 + gradient_rows * feature_floats;
  float* const d_l2 = l2 + gradient_rows * feature_floats;
  typename Block::template Registers<filter_taps> filter;
  typename Block::template Registers<feature_floats> conv2;  // of input map `lane`, to all outputs
  typename Block::template Registers<16> sums;
  const float* const w = net.weights;
  block.each_thread([&](int thread) {
    const int map = thread % warp_lanes;
    PERFPIPE_UNROLL
    for (int k = 0; k < filter_taps; ++k)
      filter.of(thread)[k] = w[in.chain.conv1 + static_cast<std::size_t>(k * feature_floats + map)];
    PERFPIPE_UNROLL
    for (int o = 0; o < feature_floats; ++o)
      conv2.of(thread)[o] =
          w[in.chain.conv2 + static_cast<std::size_t>((t * feature_floats + map) * feature_floats + o)];
  });
  PERFPIPE_NO_UNROLL
  for (int which = in.first_pass(); which < in.end_pass(); ++which) {
    const GradientPass pass = in.pass(which);
    block.each_thread([&](int thread) {
      PERFPIPE_UNROLL
      for (int i = 0; i < 16; ++i) sums.of(thread)[i] = 0.0f;
    });
    for (int first = pass.begin; first < pass.end; first += gradient_rows) {
      block.each_thread([&](int thread) {
        for (int i = thread; i < gradient_rows * filter_taps; i += gradient_threads) {
          const int r = i / filter_taps, k = i % filter_taps;
          windows[r * window_stride + k] = first + r < pass.end ? in.curves[(first + r) * curve_floats + t + k] : 0.0f;
        }
        for (int i = thread; i < gradient_rows * feature_floats; i += gradient_threads)
          d_l3[i] = first + i / feature_floats < pass.end ? in.d_l3[first * feature_floats + i] : 0.0f;
      });
      block.each_thread([&](int thread) {
        const int map = thread % warp_lanes, row = thread / warp_lanes * 4;
        PERFPIPE_UNROLL
        for (int r = row; r < row + 4; ++r) {
          float x = w[in.chain.conv1_bias + static_cast<std::size_t>(map)], d = 0.0f;
          PERFPIPE_UNROLL
          for (int k = 0; k < filter_taps; k += 4) {
            const Quad at = quad_at(windows + r * window_stride + k);
            const auto& f = filter.of(thread);
            x = fused(at.w, f[k + 3], fused(at.z, f[k + 2], fused(at.y, f[k + 1], fused(at.x, f[k], x))));
          }
          PERFPIPE_UNROLL
          for (int o = 0; o < feature_floats; o += 4) {
            const Quad at = quad_at(d_l3 + r * feature_floats + o);
            const auto& c = conv2.of(thread);
            d = fused(at.w, c[o + 3], fused(at.z, c[o + 2], fused(at.y, c[o + 1], fused(at.x, c[o], d))));
          }
          l2[r * feature_floats + map] = relu(x);
          d_l2[r * feature_floats + map] = gate(x, d);
        }
      });
      block.each_thread([&](int thread) {
        const int i = thread % gradient_half, half = thread / gradient_half * (gradient_rows / 2);
        auto& sum = sums.of(thread);
        if (i < 136) {
          // 8 x 8 tiles of conv2's [32, 32], then 9 x 8 of conv1's [36, 32].
          const int tile = i < 64 ? i : i - 64, stride = i < 64 ? feature_floats : window_stride;
          const float* left = (i < 64 ? l2 : windows) + half * stride + tile / 8 * 4;
          const float* right = (i < 64 ? d_l3 : d_l2) + half * feature_floats + tile % 8 * 4;
          PERFPIPE_NO_UNROLL
          for (int r = 0; r < gradient_rows / 2; ++r, left += stride, right += feature_floats) {
            const Quad x = quad_at(left), y = quad_at(right);
            const float a[4] = {x.x, x.y, x.z, x.w}, b[4] = {y.x, y.y, y.z, y.w};
            PERFPIPE_UNROLL
            for (int m = 0; m < 4; ++m) {
              PERFPIPE_UNROLL
              for (int n = 0; n < 4; ++n) sum[4 * m + n] = fused(a[m], b[n], sum[4 * m + n]);
            }
          }
        } else {  // biases of conv1 and conv2, four each
          const int column = (i - 136) * 4;
          for (int r = half; r < half + gradient_rows / 2; ++r) {
            const Quad x = quad_at(d_l2 + r * feature_floats + column), y = quad_at(d_l3 + r * feature_floats + column);
            sum[0] += x.x, sum[1] += x.y, sum[2] += x.z, sum[3] += x.w;
            sum[4] += y.x, sum[5] += y.y, sum[6] += y.z, sum[7] += y.w;
          }
        }
      });
    }
    // The second half's sums onto the first's; all have read l2 and d_l2.
    block.each_thread([&](int thread) {
      if (thread < gradient_half) return;
      PERFPIPE_UNROLL
      for (int i = 0; i < 16; ++i) l2[i * gradient_half + thread - gradient_half] = sums.of(thread)[i];
    });
    block.each_thread([&](int thread) {
      if (thread >= gradient_half) return;
      auto& sum = sums.of(thread);
      PERFPIPE_UNROLL
      for (int i = 0; i < 16; ++i) sum[i] += l2[i * gradient_half + thread];
      float* const conv1 = pass.sums.filter_parts + t * filter_part_floats;
      float* const g = pass.sums.gradient;
      if (thread >= 136) {
        const int column = (thread - 136) * 4;
        for (int i = 0; i < 4; ++i) {
          pass.sums.keep(conv1[filter_taps * feature_floats + column + i], sum[i]);
          if (t == 0) pass.sums.keep(g[in.chain.conv2_bias + static_cast<std::size_t>(column + i)], sum[4 + i]);
        }
        return;
      }
      const int tile = thread < 64 ? thread : thread - 64;
      float* const to = (thread < 64 ? g + in.chain.conv2 + static_cast<std::size_t>(t * quadrant_floats) : conv1) +
                        tile / 8 * 4 * feature_floats + tile % 8 * 4;
      PERFPIPE_UNROLL
      for (int i = 0; i < 16; ++i) pass.sums.keep(to[i / 4 * feature_floats + i % 4], sum[i]);
    });
  }
}

/// Gradients of a pooled chain's filters from one part of its rows: they come from the winners alone. A warp has four
/// taps, a lane one map.
template <class Block>
PERFPIPE_DEVICE void pooled_gradients(const Block& block, const GradientRows& in, int part, int parts) {
  block.each_thread([&](int thread) {
    const int map = thread % warp_lanes, tap = thread / warp_lanes * 4;
    PERFPIPE_NO_UNROLL
    for (int which = in.first_pass(); which < in.end_pass(); ++which) {
      const GradientPass pass = in.pass(which);
      const int rows = pass.end - pass.begin;
      const int begin = pass.begin + rows * part / parts, end = pass.begin + rows * (part + 1) / parts;
      float sum[4] = {}, bias = 0.0f;
      for (int row = begin; row < end; ++row) {
        const float d = in.d_l3[row * feature_floats + map];
        const float* const window = in.curves + row * curve_floats + in.winner[row * feature_floats + map] + tap;
        PERFPIPE_UNROLL
        for (int k = 0; k < 4; ++k) sum[k] = fused(window[k], d, sum[k]);
        bias += d;
      }
      float* const to = pass.sums.filter_parts + part * filter_part_floats + map;
      for (int k = 0; k < 4; ++k) pass.sums.keep(to[(tap + k) * feature_floats], sum[k]);
      if (tap == 0) pass.sums.keep(to[filter_taps * feature_floats], bias);
    }
  });
}

/// Blocks 0 to 34 have the tissue chain's positions (or parts), 35 to 69 the AIF chain's. For gradient_threads threads
/// and gradient_floats() of shared memory.
template <class Block>
PERFPIPE_DEVICE void time_gradients(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const Piece piece = piece_of(net, step);
  if (piece.whole <= 0) return;
  const bool tissue = block.index() < l2_positions;
  if (tissue ? !step.tissue : !step.artery) return;
  const int t = block.index() % l2_positions;
  const auto& at = net.at;
  const GradientRows rows =
      tissue ? GradientRows{net.layout.tissue, at.curves, at.d_l3, at.winner, net, step, piece, true}
             : GradientRows{net.layout.artery, at.aif_curves, at.aif_d_l3, at.aif_winner, net, step, piece, false};
  if (!net.pooled) return position_gradients(block, net, rows, t);
  const int parts = tissue ? pooled_parts : 1;
  if (t < parts) pooled_gradients(block, rows, t, parts);
}

}  // namespace perfpipe::gpu
