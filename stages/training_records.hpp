// What the trainings of a job left: their course, epoch by epoch, for the report and the evaluation.
#pragma once

#include "core/stage.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// One training: a held-out subject and a parameter.
struct TrainingView {
  std::string stage;
  std::string held_out;
  Parameter parameter = Parameter::cbf;
  std::string failure;  ///< why there is no network; the fields below are empty then
  std::string recipe;
  std::int64_t epochs = 0;
  std::int64_t samples = 0;
  std::int64_t epoch_of_weights = 0;
  std::optional<std::uint64_t> seed;
  std::vector<double> learning_rate;  ///< of each epoch
  std::vector<double> training_loss;  ///< mean squared error after each epoch
  std::vector<double> validation_loss;
  std::vector<double> gradient_norm;
  std::optional<double> constant_loss;  ///< variance of the validation targets: the best that a constant can do
  std::vector<float> tissue_filters;    ///< [maps, taps] of the first layer; empty if they are not to be shown
  std::vector<float> aif_filters;
  std::int64_t taps = 0;

  /// The lowest validation loss, if there was one that is a number.
  std::optional<double> best_validation_loss() const;
  /// True if the network explains less than 5 % of the variance of its validation targets: it is no better than a
  /// constant (a network of dead units has the loss of a constant, which is never below the variance).
  bool collapsed() const;
};

/// The ports that read_trainings() needs, all optional.
std::vector<ReadPort> training_ports();

/// All trainings among the inputs, those that failed included, in the order of the folds and parameters; with the
/// filters of the first fold of each parameter if `with_filters`.
std::vector<TrainingView> read_trainings(StageContext& context, bool with_filters);

}  // namespace perfpipe
