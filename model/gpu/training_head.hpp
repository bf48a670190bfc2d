// L4 to L8 of a mini-batch, its errors, and the way back to L3. Gradients of weights come after, from what this leaves.
#pragma once

#include "model/gpu/training_view.hpp"

namespace perfpipe::gpu {

/// Samples of a block, by 256 threads: each has one of 128 outputs of half of the samples.
inline constexpr int head_samples = 16, head_threads = 256, head_half = head_samples / 2;
constexpr int head_l3_floats = head_samples * patch_curves * feature_floats,
              head_row_floats = head_samples * chain_floats;
constexpr int head_floats() { return head_l3_floats + 5 * head_row_floats + head_samples; }

/// sums[i] += row first + i of `input` [.., 128] times column `output` of panels [128, 32].
PERFPIPE_DEVICE void connect_column(const float* panels, const float* input, int first, int output,
                                    float (&sums)[head_half]) {
  const float* const w = panels + output / feature_floats * (chain_floats * feature_floats) + output % feature_floats;
  PERFPIPE_NO_UNROLL
  for (int k = 0; k < chain_floats; k += 4) {
    float column[4];
    PERFPIPE_UNROLL
    for (int i = 0; i < 4; ++i) column[i] = w[(k + i) * feature_floats];
    PERFPIPE_UNROLL
    for (int s = 0; s < head_half; ++s) {
      const Quad x = quad_at(input + (first + s) * chain_floats + k);
      sums[s] = fused(x.w, column[3], fused(x.z, column[2], fused(x.y, column[1], fused(x.x, column[0], sums[s]))));
    }
  }
}

/// sums[i] += row first + i of `d_output` [.., 128] times row `input` of panels [128, 32].
PERFPIPE_DEVICE void connect_row(const float* panels, const float* d_output, int first, int input,
                                 float (&sums)[head_half]) {
  PERFPIPE_NO_UNROLL
  for (int o = 0; o < chain_floats; o += 4) {
    const Quad w = quad_at(panels + (o / feature_floats * chain_floats + input) * feature_floats + o % feature_floats);
    PERFPIPE_UNROLL
    for (int s = 0; s < head_half; ++s) {
      const Quad d = quad_at(d_output + (first + s) * chain_floats + o);
      sums[s] = fused(d.w, w.w, fused(d.z, w.z, fused(d.y, w.y, fused(d.x, w.x, sums[s]))));
    }
  }
}

template <class Block>
class TrainingHead {
 public:
  PERFPIPE_DEVICE TrainingHead(const Block& block, const NetworkView& net, const Step& step, const Piece& piece,
                               int first)
      : block_(block), net_(net), step_(step), piece_(piece), first_(first), here_(piece.count - first) {
    if (here_ > head_samples) here_ = head_samples;
    l3_ = block.shared();
    l4_ = l3_ + head_l3_floats;
    l6_ = l4_ + head_row_floats;
    l7_ = l6_ + head_row_floats;
    d_l6_ = l7_ + head_row_floats;
    d_l4_ = d_l6_ + head_row_floats;
    d_estimates_ = d_l4_ + head_row_floats;
  }

  PERFPIPE_DEVICE void forward() {
    block_.each_thread([&](int thread) {
      const float* const from = net_.at.l3 + first_ * patch_curves * feature_floats;
      for (int i = thread; i < head_l3_floats; i += head_threads)
        l3_[i] = i < here_ * patch_curves * feature_floats ? from[i] : 0.0f;
    });
    block_.each_thread([&](int thread) { windows(thread % chain_floats, thread / chain_floats * head_half); });
    block_.each_thread([&](int thread) {
      const int output = thread % chain_floats, half = thread / chain_floats * head_half;
      float sums[head_half];
      PERFPIPE_UNROLL
      for (int s = 0; s < head_half; ++s) {
        const int i = half + s < here_ ? half + s : 0;
        const int patient = piece_.set->patient[sample_of(net_, step_, piece_, first_ + i)];
        sums[s] = net_.at.part[patient * chain_floats + output];
      }
      connect_column(net_.weights + net_.layout.fc6, l4_, half, output, sums);
      keep(sums, half, output, l6_, net_.at.l6);
    });
    block_.each_thread([&](int thread) {
      const int output = thread % chain_floats, half = thread / chain_floats * head_half;
      float sums[head_half];
      PERFPIPE_UNROLL
      for (int s = 0; s < head_half; ++s) sums[s] = weight(net_.layout.fc7_bias, output);
      connect_column(net_.weights + net_.layout.fc7, l6_, half, output, sums);
      keep(sums, half, output, l7_, net_.at.l7);
    });
    errors();
  }

  PERFPIPE_DEVICE void backward() {
    block_.each_thread([&](int thread) {  // L7's gradient takes its place
      const int output = thread % chain_floats, half = thread / chain_floats * head_half;
      PERFPIPE_UNROLL
      for (int s = half; s < half + head_half; ++s) {
        float& at = l7_[s * chain_floats + output];
        at = gate(at, d_estimates_[s] * weight(net_.layout.fc8, output));
        if (s < here_) net_.at.d_l7[(first_ + s) * chain_floats + output] = at;
      }
    });
    connected_backward(net_.layout.fc7, l7_, l6_, d_l6_, net_.at.d_l6);
    connected_backward(net_.layout.fc6, d_l6_, l4_, d_l4_, net_.at.d_l4);
    block_.each_thread([&](int thread) { windows_backward(thread); });
  }

 private:
  PERFPIPE_DEVICE float weight(std::size_t offset, int i) const {
    return net_.weights[offset + static_cast<std::size_t>(i)];
  }

  /// L4 of the window and map that `output` is.
  PERFPIPE_DEVICE void windows(int output, int half) {
    const int map = output % feature_floats, corner = corner_of(output / feature_floats);
    const float* const conv3 = net_.weights + net_.layout.tissue.conv3;
    float sums[head_half];
    PERFPIPE_UNROLL
    for (int s = 0; s < head_half; ++s) sums[s] = weight(net_.layout.tissue.conv3_bias, map);
    PERFPIPE_NO_UNROLL
    for (int k = 0; k < chain_floats; k += 4) {
      const int place = k / feature_floats;
      const float* const input = l3_ + (corner + corner_of(place)) * feature_floats + k % feature_floats;
      float column[4];
      PERFPIPE_UNROLL
      for (int i = 0; i < 4; ++i) column[i] = conv3[(k + i) * feature_floats + map];
      PERFPIPE_UNROLL
      for (int s = 0; s < head_half; ++s) {
        const Quad x = quad_at(input + (half + s) * patch_curves * feature_floats);
        sums[s] = fused(x.w, column[3], fused(x.z, column[2], fused(x.y, column[1], fused(x.x, column[0], sums[s]))));
      }
    }
    keep(sums, half, output, l4_, net_.at.l4);
  }

  PERFPIPE_DEVICE void keep(const float (&sums)[head_half], int half, int output, float* shared, float* global) {
    PERFPIPE_UNROLL
    for (int s = 0; s < head_half; ++s) {
      const float x = relu(sums[s]);
      shared[(half + s) * chain_floats + output] = x;
      if (half + s < here_) global[(first_ + half + s) * chain_floats + output] = x;
    }
  }

  /// Estimates in the order of the CPU's kernels, errors in double precision as there.
  PERFPIPE_DEVICE void errors() {
    block_.each_warp([&](const auto& warp) {
      for (int s = warp.index(); s < head_samples; s += head_threads / warp_lanes) {
        typename std::decay_t<decltype(warp)>::template Registers<1> sum;
        warp.each_lane([&](int lane) {
          float total = 0.0f;
          for (int i = lane; i < chain_floats; i += feature_floats)
            total = fused(l7_[s * chain_floats + i], weight(net_.layout.fc8, i), total);
          sum.of(lane)[0] = total;
        });
        warp.add_by_halves(sum);
        warp.each_lane([&](int lane) {
          if (lane != 0) return;
          d_estimates_[s] = 0.0f;
          if (s >= here_) return;
          const int i = first_ + s;
          const double estimate = sum.of(lane)[0] + weight(net_.layout.fc8_bias, 0);
          const double error = net_.target_mean + net_.target_scale * estimate - target_of(net_, step_, piece_, i);
          const double factor = 2.0 / (net_.target_scale * static_cast<double>(piece_.whole));
          net_.at.squared_errors[i] = error * error;
          d_estimates_[s] = net_.at.d_estimates[i] = static_cast<float>(factor * error);
        });
      }
    });
  }

  /// d_input = what d_output gives it through a layer, where its ReLU let something through.
  PERFPIPE_DEVICE void connected_backward(std::size_t layer, const float* d_output, const float* open, float* d_input,
                                          float* global) {
    block_.each_thread([&](int thread) {
      const int input = thread % chain_floats, half = thread / chain_floats * head_half;
      float sums[head_half] = {};
      connect_row(net_.weights + layer, d_output, half, input, sums);
      PERFPIPE_UNROLL
      for (int s = 0; s < head_half; ++s) {
        const int at = (half + s) * chain_floats + input;
        d_input[at] = gate(open[at], sums[s]);
        if (half + s < here_) global[first_ * chain_floats + at] = d_input[at];
      }
    });
  }

  /// L3's gradient: a thread has one of 288 values of four samples, and its windows in order.
  PERFPIPE_DEVICE void windows_backward(int thread) {
    constexpr int row = patch_curves * feature_floats, together = 4;
    const float* const conv3 = net_.weights + net_.layout.tissue.conv3;
    for (int item = thread; item < row * head_samples / together; item += head_threads) {
      const int at = item % row, position = at / feature_floats, map = at % feature_floats;
      const int first = item / row * together;
      float sums[together] = {};
      PERFPIPE_NO_UNROLL
      for (int pair = 0; pair < 16; ++pair) {
        const int window = pair / 4, place = pair % 4;
        if (corner_of(window) + corner_of(place) != position) continue;
        PERFPIPE_NO_UNROLL
        for (int o = 0; o < feature_floats; o += 4) {
          const Quad w = quad_at(conv3 + (place * feature_floats + map) * feature_floats + o);
          PERFPIPE_UNROLL
          for (int s = 0; s < together; ++s) {
            const Quad d = quad_at(d_l4_ + (first + s) * chain_floats + window * feature_floats + o);
            sums[s] = fused(d.w, w.w, fused(d.z, w.z, fused(d.y, w.y, fused(d.x, w.x, sums[s]))));
          }
        }
      }
      PERFPIPE_UNROLL
      for (int s = 0; s < together; ++s)
        if (first + s < here_)
          net_.at.d_l3[(first_ + first + s) * row + at] = gate(l3_[(first + s) * row + at], sums[s]);
    }
  }

  const Block& block_;
  const NetworkView& net_;
  const Step& step_;
  const Piece& piece_;
  int first_, here_;
  float *l3_, *l4_, *l6_, *l7_, *d_l6_, *d_l4_, *d_estimates_;
};

/// For head_threads threads and head_floats() of shared memory.
template <class Block>
PERFPIPE_DEVICE void training_head(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const Piece piece = piece_of(net, step);
  for (int first = block.index() * head_samples; first < piece.count; first += block.blocks() * head_samples) {
    TrainingHead<Block> head(block, net, step, piece, first);
    head.forward();
    if (!step.validating) head.backward();
  }
}

}  // namespace perfpipe::gpu
