// Training of one bi-CNN by a recipe.
#pragma once

#include "core/communicator.hpp"
#include "model/bicnn.hpp"
#include "model/optimiser.hpp"
#include "model/recipe.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace perfpipe {

/// Training samples as indices into shared curves: patches are gathered batch by batch, never stored.
struct PatchSet {
  std::span<const float> curves;             ///< [curves, 70] concentration; row 0 is all zeros (outside mask or image)
  std::span<const std::int32_t> neighbours;  ///< [samples, 9] rows of `curves`; patch positions y-major, centre 4
  std::span<const std::int32_t> patient;     ///< [samples] row of `aifs`
  std::span<const float> aifs;               ///< [patients, 70] concentration, in the unit of that patient's curves
  std::span<const float> targets;            ///< [samples] in the parameter's units

  std::size_t samples() const { return targets.size(); }
};

/// What one epoch did.
struct EpochRecord {
  std::int64_t epoch = 0;      ///< from 1
  double learning_rate = 0.0;  ///< of its last mini-batch
  double training_loss = 0.0;  ///< mean squared error over its samples, each before the step that its mini-batch made,
                               ///< as they were augmented, without weights
  double validation_loss = 0.0;  ///< mean squared error after the epoch; NaN without validation samples
  double gradient_norm = 0.0;    ///< mean over its mini-batches of the gradient's Euclidean norm
};

/// All that a training needs to go on from where it was: between two steps, `steps_of_epoch` of the epoch after
/// `epochs`. The order of samples follows from seed, stream and epoch, so it is not part of it.
struct TrainingState {
  std::vector<float> weights;  ///< in the order of TrainingNetwork, before the scales of the samples are folded in
  OptimiserState optimiser;
  PlateauState plateau;
  std::vector<EpochRecord> epochs;  ///< those that are complete
  std::int64_t steps_of_epoch = 0;
  EpochRecord unfinished;           ///< sums so far of the epoch under way
  std::vector<float> best_weights;  ///< of `epoch_of_weights`; empty before the first epoch has ended
  std::int64_t epoch_of_weights = 0;
  double best = std::numeric_limits<double>::infinity();
};

/// What a caller may take part in.
struct TrainingHooks {
  /// After each epoch, on every rank of the group.
  std::function<void(const EpochRecord&, const TrainingState&)> on_epoch = {};
  /// Asked before each mini-batch: true ends the training there, on all ranks of the group at the same step.
  std::function<bool()> stop = {};
  /// The ranks that share this training, at most gradient_shards; nullptr: this one alone.
  Communicator* group = nullptr;
};

struct TrainingResult {
  std::vector<NamedTensor> tensors;   ///< of `epoch_of_weights`, with every scale folded in
  std::int64_t epoch_of_weights = 0;  ///< the epoch of lowest validation loss (the last if the recipe keeps that one,
                                      ///< or without validation samples)
  std::vector<EpochRecord> epochs;
  bool stopped = false;  ///< stop() said so: the training is incomplete and the result not to be used as a network
  TrainingState state;   ///< where it ended
};

/// Trains a network: mean squared error, mini-batches in an order shuffled anew for each epoch, the last one short if
/// need be. The paper does not say which epoch's weights it used; ours are those of the lowest validation loss. The
/// plateau rule multiplies the rate that the decay divides: step n runs at learning_rate * plateau_factor^k / (1 + n
/// decay) after k plateaus, with n counted through and the momentum kept.
/// Each mini-batch is cut into gradient_shards whose gradients are summed exactly (model/gradient_sum.hpp): the same
/// recipe and samples give the same bits on one rank or a group, whatever the machine's threads, in one go or resumed
/// from the state of a training that was stopped, or of one with fewer epochs under the schedule `plateau`. Computes on
/// the calling thread alone; collective over the group, whose ranks hold the same samples. Throws std::invalid_argument
/// for sets whose sizes or indices do not fit, InputError for an AIF that cannot be scaled, TaskFailure when the loss
/// or the weights are no longer finite, with the step and the remedy.
TrainingResult train(const Recipe& recipe, const PatchSet& training, const PatchSet& validation,
                     const TrainingHooks& hooks = {}, std::optional<TrainingState> resume = std::nullopt);

}  // namespace perfpipe
