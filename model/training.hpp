// Training of one bi-CNN by a recipe.
#pragma once

#include "core/parameters.hpp"
#include "model/bicnn.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
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

/// How a network is trained. The defaults that do not depend on the parameter are the paper's (V.B).
struct Recipe {
  std::string name = "paper";
  Parameter parameter = Parameter::cbf;  ///< decides the architecture
  std::int64_t batch = 50;
  std::int64_t epochs = 10;
  double learning_rate = 0.0;
  double decay = 0.0;  ///< rate = learning_rate / (1 + n decay), n the mini-batches so far
  double momentum = 0.9;
  double dampening = 0.9;             ///< Torch7's default: equal to the momentum
  double plateau_factor = 0.1;        ///< the rate is multiplied by it when the validation error stops improving ...
  std::int64_t plateau_times = 3;     ///< ... this many times at most ...
  std::int64_t plateau_patience = 1;  ///< ... after this many epochs in a row without a new best at the current rate
  double input_scale = 0.0;           ///< see model/scaling.hpp
  std::uint64_t seed = 1;
  std::string stream;  ///< names this training ("fold-sub-03/cbf"): its initial weights and shuffles are its own
};

/// Input scale of the recipe "paper": ours, as the paper states none. Out of 1, 3, 10 and 30, five seeds each, on
/// simulated curves (20,000 samples of 9 patients, 3 epochs, RMSE on a tenth patient): MTT 2.2-3.7, 1.3-1.8,
/// 0.9-1.1, 1.0-2.2 s; CBF up to 150 ml/100g/min 13-44, 6-13, 5.7-6.6, 4.9-6.3. MTT diverges at 100. CBF up to 450
/// trains at 10, but three of five times not at 30 (estimates near constant); from 600 on it does not at 10, and from
/// 900 on at no scale reliably: the learning rate belongs to the targets' range. So CBF, whose targets in vessels reach
/// 900, has 1: on the quickstart's cohort (six folds, 24,000 samples, 6 epochs) its ARMSE was 14.0, 21.9, 32.3 at 1, 5
/// and 10.
inline constexpr PerParameter paper_input_scale{1.0, 10.0, 10.0, 10.0};  // CBF, CBV, MTT, Tmax

/// The paper's recipe (V.B) for a parameter, with our input scale.
Recipe paper_recipe(Parameter parameter);

/// What one epoch did.
struct EpochRecord {
  std::int64_t epoch = 0;        ///< from 1
  double learning_rate = 0.0;    ///< of its last mini-batch
  double training_loss = 0.0;    ///< mean squared error over its samples, each before the step that its mini-batch made
  double validation_loss = 0.0;  ///< mean squared error after the epoch; NaN without validation samples
  double gradient_norm = 0.0;    ///< mean over its mini-batches of the gradient's Euclidean norm
};

struct TrainingResult {
  std::vector<NamedTensor> tensors;   ///< of `epoch_of_weights`
  std::int64_t epoch_of_weights = 0;  ///< the epoch of lowest validation loss (the last without validation samples)
  std::vector<EpochRecord> epochs;
  bool stopped = false;  ///< stop() said so: the training is incomplete and the result not to be used as a network
};

/// Trains a network: mean squared error, mini-batches in an order shuffled anew for each epoch, the last one short if
/// need be. The paper does not say which epoch's weights it used; ours are those of the lowest validation loss. The
/// plateau rule multiplies the rate that the decay divides: step n runs at learning_rate * plateau_factor^k / (1 + n
/// decay) after k plateaus, with n counted through and the momentum kept. `on_epoch` (may be empty) is called after
/// each epoch; `stop` (may be empty) is asked before each mini-batch. Computes on the calling thread alone; the same
/// recipe and samples give the same bits whatever the machine's threads. Throws std::invalid_argument for sets whose
/// sizes or indices do not fit, InputError for an AIF that cannot be scaled, TaskFailure when the loss or the weights
/// are no longer finite, with the step and the remedy.
TrainingResult train(const Recipe& recipe, const PatchSet& training, const PatchSet& validation,
                     const std::function<void(const EpochRecord&)>& on_epoch = {},
                     const std::function<bool()>& stop = {});

}  // namespace perfpipe
