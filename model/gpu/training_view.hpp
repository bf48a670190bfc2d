// Networks that are trained together on a GPU, as its kernels see them. A step is a handful of kernels, each for all
// networks at once: the grid's second axis is the network. Which samples a network's step takes follows from its
// Progress, so that every step is the same graph of launches.
//
// Sums are made in an order that neither the GPU nor the number of blocks decides: the same bits from run to run.
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
  float* filter_parts[2];    ///< [35, 37 * 32] gradients of conv1 and its bias, tissue and artery
  double* squared_norms;     ///< [update_blocks]
};

struct NetworkView {
  TrainingLayout layout;
  bool pooled, adam;
  int batch;
  float tissue_gain;
  double target_mean, target_scale;
  double saturation;  ///< of targets that follow a sample's gain; below 0: they do not follow it
  float keep, take, keep_square, take_square;  ///< of the optimiser's means
  float *weights, *gradient, *velocity, *square;
  SampleSetView training, validation;
  EpochView epoch;
  Activations at;
  Progress* progress;
};

/// What a launch works on.
struct Step {
  const NetworkView* networks;
  bool validating;
  int chunk;  ///< validation samples at once
};

inline constexpr int filter_part_floats = (filter_taps + 1) * feature_floats;
/// Blocks over rows whose gradients of a pooled chain's filters are summed apart.
inline constexpr int pooled_parts = 16;
inline constexpr int update_threads = 256, update_weights_of_block = 1024;
PERFPIPE_ANYWHERE int update_blocks(int weights) {
  return (weights + update_weights_of_block - 1) / update_weights_of_block;
}

/// The samples of a network's step.
struct Piece {
  const SampleSetView* set;
  int first, count;
};
PERFPIPE_DEVICE Piece piece_of(const NetworkView& net, const Step& step) {
  const Progress& p = *net.progress;
  const auto least = [](int a, int b) { return a < b ? a : b; };
  if (step.validating) return {&net.validation, p.validated, least(step.chunk, p.to_validate - p.validated)};
  if (p.step >= p.steps) return {&net.training, 0, 0};
  const int first = p.step * net.batch;
  return {&net.training, first, least(net.batch, net.training.samples - first)};
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
