// What a training decides between mini-batches and epochs, whatever computes them: scales, rates, the plateau rule,
// which epoch's weights are kept.
#pragma once

#include "model/training.hpp"

#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// How targets relate to what the network learns: target = mean + scale * output.
struct TargetScale {
  double mean = 0.0;
  double scale = 1.0;
};

/// Throws as train() does for recipes and sets that do not fit.
void check_training(const Recipe& recipe, const PatchSet& training, const PatchSet& validation);

/// The books of one training. `state().weights` is what they start from; whoever computes keeps the weights after that.
class TrainingBooks {
 public:
  /// Recipe and sets must outlive this. `peak` is Batches::tissue_peak() of the training set.
  TrainingBooks(const Recipe& recipe, const PatchSet& training, const PatchSet& validation, double peak,
                std::optional<TrainingState> resume);

  const Recipe& recipe() const { return recipe_; }
  const TargetScale& targets() const { return targets_; }
  double tissue_gain() const { return tissue_gain_; }

  bool done() const { return static_cast<std::int64_t>(state_.epochs.size()) >= recipe_.epochs; }
  /// Of the epoch under way, from 1.
  std::int64_t epoch() const { return static_cast<std::int64_t>(state_.epochs.size()) + 1; }
  std::size_t steps_of_epoch() const;
  /// Of the optimiser's step `n`, from 0, if no epoch ends before it.
  double learning_rate(std::int64_t n) const;
  double learning_rate() const { return learning_rate(state_.optimiser.steps); }
  /// For messages.
  std::string where(std::size_t step) const;
  [[noreturn]] void diverged(const std::string& what, const std::string& where) const;

  /// What the epoch under way has summed up so far.
  EpochRecord& record() { return state_.unfinished; }
  /// Closes the epoch with the sums in record(), its validation loss (NaN without samples) and the weights at its end.
  /// Throws TaskFailure where a number is not finite.
  void end_epoch(double validation_loss, std::span<const float> weights);

  TrainingState& state() { return state_; }
  /// With the plateau rule's part.
  const TrainingState& complete_state();
  /// The best weights as a network of plain inputs and targets: the tissue gain goes into the tissue chain's first
  /// layer, mean and scale of the targets into the last.
  std::vector<NamedTensor> folded_tensors() const;

 private:
  const Recipe& recipe_;
  const PatchSet& training_;
  const PatchSet& validation_;
  TargetScale targets_;
  double tissue_gain_ = 1.0;
  TrainingState state_;
  PlateauRule plateau_;
};

}  // namespace perfpipe
