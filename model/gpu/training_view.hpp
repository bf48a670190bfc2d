// Networks that are trained together on a GPU, as its kernels see them. A step is a handful of kernels, each for all
// networks at once: the grid's second axis is the network. Which samples a network's step takes follows from its
// Progress, so that every step is the same graph of launches.
//
// Sums are made in an order that neither the GPU nor the number of blocks decides: the same bits from run to run. Those
// over the samples of a mini-batch are made shard by shard, and the shards' sums added in their order: ranks that have
// some of the shards each find the same bits as one that has all.
#pragma once

#include "model/gpu/block.hpp"
#include "model/gpu/sizes.hpp"
#include "model/training_layout.hpp"

namespace perfpipe::gpu {

/// Samples as model/training.hpp's PatchSet has them.
struct SampleSetView {
  const float* curves = nullptr;    ///< [curves, 70]
  const int* neighbours = nullptr;  ///< [samples, 9]
  const int* patient = nullptr;     ///< [samples]
  const float* targets = nullptr;   ///< [samples]
  const float* aifs = nullptr;      ///< [patients, 70]
  const float* factors = nullptr;   ///< [patients] of both their curves
  int samples = 0, patients = 0;
};

/// What the host draws for an epoch.
struct EpochView {
  const int* order = nullptr;                 ///< [samples]
  const unsigned char* symmetries = nullptr;  ///< [samples] in this order; null: none
  const float* gains = nullptr;               ///< [samples]; null: 1
  const signed char* shifts = nullptr;        ///< [steps, patients]; null: 0
  const float* rates = nullptr;               ///< [steps, 2] Adam's or SGD's rate, and what Adam adds to its root
};

/// Where a network is. Steps and samples of the pass under way; sums of it.
struct Progress {
  int step, steps;             ///< of the epoch; nothing is done at the end
  int optimised;               ///< steps in all epochs: the optimiser's first is another
  int bad_step;                ///< of the epoch, the first whose loss or gradient was not finite; -1: none
  double loss, norm;           ///< sums over steps: squared errors, and the gradient's norm
  int validated, to_validate;  ///< samples
  double validation_loss;      ///< sum of squared errors
};

/// Activations and gradients of one mini-batch (or of `chunk` validation samples), one sample after the other.
struct Activations {
  float* curves;        ///< [9 samples, 70] scaled
  float *l3, *d_l3;     ///< [9 samples, 32]
  int* winner;          ///< [9 samples, 32] with max-pooling
  float *l4, *l6, *l7;  ///< [samples, 128]
  float *d_l4, *d_l6, *d_l7;
  float* d_estimates;      ///< [samples]
  double* squared_errors;  ///< [samples]
  // The AIF chain, one row for each patient.
  float* aif_curves;         ///< [patients, 70]
  float *aif_l3, *aif_d_l3;  ///< [patients, 32]
  int* aif_winner;           ///< [patients, 32]
  float *aif_l4, *aif_d_l4;  ///< [patients, 32]: all four windows are alike
  float *part, *d_part;      ///< [patients, 128] what the AIF adds to L6, with fc6's bias
  float* filter_parts[2];    ///< [35 or pooled_parts, 37 * 32] gradients of conv1 and its bias, tissue and artery
  double* squared_norms;     ///< [update_blocks]
};

inline constexpr int filter_part_floats = (filter_taps + 1) * feature_floats;
/// Blocks over rows whose gradients of a pooled chain's filters are summed apart.
inline constexpr int pooled_parts = 16;

/// A mini-batch is cut into this many shards of (nearly) equal size, whoever computes them: those of
/// model/gradient_sum.hpp.
inline constexpr int batch_shards = 4;
PERFPIPE_ANYWHERE int start_of_shard(int shard, int samples) { return samples * shard / batch_shards; }

/// A row of sums over samples: the loss (a double), then these, in floats. Of the gradient what the samples add to; the
/// AIF chain's, which follows from d_part, comes behind it where the row is a network's own.
struct SumLayout {
  int filter_parts = 4, d_part = 0, gradient = 0;
  int floats = 0;  ///< of a shard's row

  SumLayout() = default;
  SumLayout(const TrainingLayout& layout, bool pooled, int patients) {
    d_part = filter_parts + (pooled ? pooled_parts : l2_positions) * filter_part_floats;
    gradient = d_part + patients * chain_floats;
    floats = (gradient + static_cast<int>(layout.artery.conv1) + 3) / 4 * 4;
  }
};

struct NetworkView {
  TrainingLayout layout;
  SumLayout sum_layout;
  bool pooled, adam;
  int batch;
  float tissue_gain;
  double target_mean, target_scale;
  double saturation;  ///< of targets that follow a sample's gain; below 0: they do not follow it
  float keep, take, keep_square, take_square;  ///< of the optimiser's means
  float *weights, *gradient, *velocity, *square;
  float* sums;  ///< row of the whole mini-batch: loss, filter_parts[0], d_part and gradient point into it
  float*
      shards;  ///< [batch_shards] rows where ranks share the mini-batch, those of other ranks' shards zero; else null
  SampleSetView training, validation;
  EpochView epoch;
  Activations at;
  Progress* progress;
};

/// What a launch works on.
struct Step {
  const NetworkView* networks;
  bool validating;
  int chunk;                   ///< validation samples at once
  int first_shard, end_shard;  ///< of mini-batches: what this rank computes
  bool tissue, artery;         ///< chains whose time_gradients() are wanted
};

inline constexpr int update_threads = 256, update_weights_of_block = 1024;
PERFPIPE_ANYWHERE int update_blocks(int weights) {
  return (weights + update_weights_of_block - 1) / update_weights_of_block;
}

/// The samples of a network's step that this rank computes.
struct Piece {
  const SampleSetView* set;
  int first, count;
  int whole;  ///< samples of all ranks; 0: nothing is to be done
};
PERFPIPE_DEVICE Piece piece_of(const NetworkView& net, const Step& step) {
  const Progress& p = *net.progress;
  const auto least = [](int a, int b) { return a < b ? a : b; };
  if (step.validating) {
    const int left = p.to_validate - p.validated, count = least(step.chunk, left > 0 ? left : 0);
    return {&net.validation, p.validated, count, count};
  }
  if (p.step >= p.steps) return {&net.training, 0, 0, 0};
  const int first = p.step * net.batch, whole = least(net.batch, net.training.samples - first);
  const int begin = start_of_shard(step.first_shard, whole), end = start_of_shard(step.end_shard, whole);
  return {&net.training, first + begin, end - begin, whole};
}

/// A shard's samples among those of the piece.
struct ShardSamples {
  int begin, end;
};
PERFPIPE_DEVICE ShardSamples samples_of(const Step& step, const Piece& piece, int shard) {
  const int before = start_of_shard(step.first_shard, piece.whole);
  return {start_of_shard(shard, piece.whole) - before, start_of_shard(shard + 1, piece.whole) - before};
}

/// Where a shard's sums go: to its row where ranks share the mini-batch, else onto those of the shards before it.
struct ShardSums {
  double* loss;
  float *filter_parts, *d_part, *gradient;
  bool add;

  template <class T>
  PERFPIPE_DEVICE void keep(T& at, T sum) const {
    at = add ? at + sum : sum;
  }
};
PERFPIPE_DEVICE ShardSums sums_of(const NetworkView& net, int shard) {
  const SumLayout& layout = net.sum_layout;
  float* const row = net.shards != nullptr ? net.shards + shard * layout.floats : net.sums;
  return {reinterpret_cast<double*>(row), row + layout.filter_parts, row + layout.d_part, row + layout.gradient,
          net.shards == nullptr && shard > 0};
}
PERFPIPE_DEVICE int sample_of(const NetworkView& net, const Step& step, const Piece& piece, int i) {
  return step.validating ? piece.first + i : net.epoch.order[piece.first + i];
}
PERFPIPE_DEVICE float gain_of(const NetworkView& net, const Step& step, const Piece& piece, int i) {
  return step.validating || net.epoch.gains == nullptr ? 1.0f : net.epoch.gains[piece.first + i];
}

/// As Batches::target().
PERFPIPE_DEVICE double target_of(const NetworkView& net, const Step& step, const Piece& piece, int i) {
  const double target = piece.set->targets[sample_of(net, step, piece, i)];
  if (net.saturation < 0.0) return target;
  const double varied = target * static_cast<double>(gain_of(net, step, piece, i));
  const double most = net.saturation > target ? net.saturation : target;
  return varied < most ? varied : most;
}

}  // namespace perfpipe::gpu
