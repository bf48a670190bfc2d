// A step's first kernels: curves of the mini-batch, and L1 to L3 with all that the AIF chain adds.
#pragma once

#include "model/gpu/time_layers.hpp"
#include "model/gpu/training_view.hpp"

namespace perfpipe::gpu {

/// What stands at a patch position of a mirrored and turned patch (model/augmentation.hpp: patch_symmetry).
PERFPIPE_DEVICE int turned_position(int symmetry, int position) {
  int y = position / 3, x = position % 3;
  if (symmetry & 1) x = 2 - x;
  if (symmetry & 2) y = 2 - y;
  return symmetry & 4 ? x * 3 + y : y * 3 + x;
}

/// Sample t of a curve that comes `shift` samples later: zeros at the start, or the last value held at the end.
PERFPIPE_DEVICE float shifted_sample(const float* curve, int t, int shift) {
  const int from = t - shift;
  return from < 0 ? 0.0f : curve[from < curve_floats ? from : curve_floats - 1];
}

/// Scaled, varied curves of the samples and the patients; a warp for each curve.
template <class Block>
PERFPIPE_DEVICE void gather_curves(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const Piece piece = piece_of(net, step);
  if (piece.whole <= 0) return;
  const SampleSetView& set = *piece.set;
  const auto shift_of = [&](int patient) {
    if (step.validating || net.epoch.shifts == nullptr) return 0;
    return static_cast<int>(net.epoch.shifts[net.progress->step * set.patients + patient]);
  };
  const int warps = block.threads() / warp_lanes, tissue = piece.count * patch_curves, rows = tissue + set.patients;
  block.each_warp([&](const auto& warp) {
    for (int row = block.index() * warps + warp.index(); row < rows; row += block.blocks() * warps)
      warp.each_lane([&](int lane) {
        if (row >= tissue) {
          const int patient = row - tissue, shift = shift_of(patient);
          for (int t = lane; t < curve_floats; t += warp_lanes)
            net.at.aif_curves[patient * curve_floats + t] =
                shifted_sample(set.aifs + patient * curve_floats, t, shift) * set.factors[patient];
          return;
        }
        const int i = row / patch_curves, sample = sample_of(net, step, piece, i), patient = set.patient[sample];
        const int symmetry =
            step.validating || net.epoch.symmetries == nullptr ? 0 : net.epoch.symmetries[piece.first + i];
        const int neighbour = set.neighbours[sample * patch_curves + turned_position(symmetry, row % patch_curves)];
        const float factor = set.factors[patient] * net.tissue_gain * gain_of(net, step, piece, i);
        const float* const curve = set.curves + static_cast<long long>(neighbour) * curve_floats;
        const int shift = shift_of(patient);
        for (int t = lane; t < curve_floats; t += warp_lanes)
          net.at.curves[row * curve_floats + t] = shifted_sample(curve, t, shift) * factor;
      });
  });
}

PERFPIPE_DEVICE TimeWeights time_weights(const NetworkView& net, const ChainLayout& chain) {
  const float* const w = net.weights;
  return {w + chain.conv1, w + chain.conv1_bias, w + chain.conv2, w + chain.conv2_bias};
}

template <class Block>
PERFPIPE_DEVICE void chain_features(const Block& block, const NetworkView& net, const ChainLayout& chain,
                                    const float* curves, const TimeRows& rows) {
  const auto sample_at = [&](int row, int sample) { return curves[row * curve_floats + sample]; };
  if (net.pooled)
    pooled_layers(block, time_weights(net, chain), rows, sample_at);
  else
    convolved_layers(block, time_weights(net, chain), rows, sample_at);
}

/// L4 of the AIF chain, whose four windows are alike, and its part of L6: [patients, 128].
template <class Block>
PERFPIPE_DEVICE void artery_part(const Block& block, const NetworkView& net, int patients) {
  const float* const conv3 = net.weights + net.layout.artery.conv3;
  const float* const fc6 = net.weights + net.layout.fc6_artery;
  block.each_thread([&](int thread) {
    for (int i = thread; i < patients * feature_floats; i += block.threads()) {
      const int map = i % feature_floats;
      const float* const l3 = net.at.aif_l3 + i / feature_floats * feature_floats;
      float sum = net.weights[net.layout.artery.conv3_bias + static_cast<std::size_t>(map)];
      for (int k = 0; k < chain_floats; ++k) sum = fused(l3[k % feature_floats], conv3[k * feature_floats + map], sum);
      net.at.aif_l4[i] = relu(sum);
    }
  });
  block.each_thread([&](int thread) {
    for (int i = thread; i < patients * chain_floats; i += block.threads()) {
      const int output = i % chain_floats, panel = output / feature_floats;
      const float* const l4 = net.at.aif_l4 + i / chain_floats * feature_floats;
      const float* const w = fc6 + panel * chain_floats * feature_floats + output % feature_floats;
      float sum = net.weights[net.layout.fc6_bias + static_cast<std::size_t>(output)];
      for (int k = 0; k < chain_floats; ++k) sum = fused(l4[k % feature_floats], w[k * feature_floats], sum);
      net.at.part[i] = sum;
    }
  });
}

/// L1 to L3: the last block of each network has the AIF chain, the others share the tissue curves.
template <class Block>
PERFPIPE_DEVICE void training_features(const Block& block, const Step& step) {
  const NetworkView& net = step.networks[block.row()];
  const Piece piece = piece_of(net, step);
  if (piece.whole <= 0) return;
  const int tissue_blocks = block.blocks() - 1;
  if (block.index() < tissue_blocks) {
    chain_features(block, net, net.layout.tissue, net.at.curves,
                   {piece.count * patch_curves, block.index(), tissue_blocks, net.at.l3, net.at.winner});
    return;
  }
  chain_features(block, net, net.layout.artery, net.at.aif_curves,
                 {piece.set->patients, 0, 1, net.at.aif_l3, net.at.aif_winner});
  artery_part(block, net, piece.set->patients);
}

}  // namespace perfpipe::gpu
