// The end of a step: weights move, losses and norms are summed, the network goes on to its next mini-batch.
#pragma once

#include "model/gpu/ordered_sum.hpp"
#include "model/gpu/training_view.hpp"

namespace perfpipe::gpu {

/// Floats of shared memory that update_weights() and finish_step() use, in doubles.
constexpr int update_floats() { return 2 * (update_threads + warp_lanes); }
constexpr int finish_floats() { return 2 * 2 * warp_lanes; }

/// The shards' rows, which have come from all ranks, as one; they are left zero for the next step.
template <class Block>
PERFPIPE_DEVICE void add_shards(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  if (piece_of(net, step).whole <= 0) return;
  const int row = net.sum_layout.floats;
  const auto take = [](auto* at, int stride) {
    auto sum = at[0];
    for (int shard = 1; shard < batch_shards; ++shard) sum += at[shard * stride];
    for (int shard = 0; shard < batch_shards; ++shard) at[shard * stride] = 0;
    return sum;
  };
  block.each_thread([&](int thread) {
    const int first = net.sum_layout.filter_parts + block.index() * block.threads() + thread;
    for (int i = first; i < row; i += block.blocks() * block.threads()) net.sums[i] = take(net.shards + i, row);
    if (block.index() == 0 && thread == 0)
      *reinterpret_cast<double*>(net.sums) = take(reinterpret_cast<double*>(net.shards), row / 2);
  });
}

/// One of these moves 1024 weights, four a thread. For update_threads threads and update_floats().
template <class Block>
PERFPIPE_DEVICE void update_weights(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const int size = static_cast<int>(net.layout.size);
  if (piece_of(net, step).whole <= 0 || block.index() * update_weights_of_block >= size) return;
  const Progress& progress = *net.progress;
  const float rate = net.epoch.rates[2 * progress.step], floor = net.epoch.rates[2 * progress.step + 1];
  auto* const squares = reinterpret_cast<double*>(block.shared());
  // The parts of conv1's gradient, and of its bias behind it, are added in order.
  const auto gradient_at = [&](int i) {
    for (int which = 0; which < 2; ++which) {
      const int first = static_cast<int>(which == 0 ? net.layout.tissue.conv1 : net.layout.artery.conv1);
      if (i < first || i >= first + filter_part_floats) continue;
      const int parts = !net.pooled ? l2_positions : which == 0 ? pooled_parts : 1;
      float sum = 0.0f;
      for (int p = 0; p < parts; ++p) sum += net.at.filter_parts[which][p * filter_part_floats + i - first];
      return sum;
    }
    return net.gradient[i];
  };
  block.each_thread([&](int thread) {
    double square = 0.0;
    for (int k = 0; k < update_weights_of_block / update_threads; ++k) {
      const int i = block.index() * update_weights_of_block + k * update_threads + thread;
      if (i >= size) continue;
      const float g = gradient_at(i);
      net.gradient[i] = g;
      square += static_cast<double>(g) * static_cast<double>(g);
      float& velocity = net.velocity[i];
      if (net.adam) {
        float& mean_square = net.square[i];
        velocity = net.keep * velocity + net.take * g;
        mean_square = net.keep_square * mean_square + net.take_square * g * g;
        net.weights[i] -= rate * velocity / (sqrtf(mean_square) + floor);
      } else {
        velocity = progress.optimised == 0 ? g : net.keep * velocity + net.take * g;
        net.weights[i] -= rate * velocity;
      }
    }
    squares[thread] = square;
  });
  const double sum = ordered_sum(block, update_threads, squares + update_threads, [&](int i) { return squares[i]; });
  block.each_thread([&](int thread) {
    if (thread == 0) net.at.squared_norms[block.index()] = sum;
  });
}

/// One block for each network, and finish_floats().
template <class Block>
PERFPIPE_DEVICE void finish_step(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const Piece piece = piece_of(net, step);
  if (piece.whole <= 0) return;
  auto* const partial = reinterpret_cast<double*>(block.shared());
  const double loss = step.validating
                          ? ordered_sum(block, piece.count, partial, [&](int i) { return net.at.squared_errors[i]; })
                          : *reinterpret_cast<const double*>(net.sums);
  const int blocks = step.validating ? 0 : update_blocks(static_cast<int>(net.layout.size));
  const double norm = ordered_sum(block, blocks, partial + warp_lanes, [&](int i) { return net.at.squared_norms[i]; });
  block.each_thread([&](int thread) {
    if (thread != 0) return;
    Progress& p = *net.progress;
    if (step.validating) {
      p.validation_loss += loss;
      p.validated += piece.count;
      return;
    }
    p.loss += loss;
    p.norm += sqrt(norm);
    if (p.bad_step < 0 && !(loss <= 1.7976931348623157e308 && norm <= 1.7976931348623157e308)) p.bad_step = p.step;
    ++p.step;
    ++p.optimised;
  });
}

}  // namespace perfpipe::gpu
