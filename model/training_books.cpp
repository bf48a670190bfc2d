#include "model/training_books.hpp"

#include "core/arrays.hpp"
#include "core/error.hpp"
#include "model/training_network.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace perfpipe {
namespace {

constexpr auto samples_of_curve = static_cast<std::size_t>(curve_samples);
constexpr auto positions = static_cast<std::size_t>(patch_positions);

void check_set(const PatchSet& set, const std::string& what) {
  const auto require = [&](bool good, const std::string& problem) {
    if (!good) throw std::invalid_argument(what + " set: " + problem);
  };
  require(set.curves.size() % samples_of_curve == 0, "curves are not rows of 70 samples");
  require(set.aifs.size() % samples_of_curve == 0, "AIFs are not rows of 70 samples");
  require(set.neighbours.size() == set.samples() * positions, "needs 9 neighbours for each target");
  require(set.patient.size() == set.samples(), "needs one patient for each target");
  const auto below = [](std::span<const std::int32_t> rows, std::size_t count) {
    return std::all_of(rows.begin(), rows.end(),
                       [&](std::int32_t row) { return row >= 0 && static_cast<std::size_t>(row) < count; });
  };
  require(below(set.neighbours, set.curves.size() / samples_of_curve), "a neighbour is not a row of the curves");
  require(below(set.patient, set.aifs.size() / samples_of_curve), "a patient is not a row of the AIFs");
  for (const auto& [numbers, name] : {std::pair{set.curves, "curves"}, {set.targets, "targets"}})
    if (!all_finite(numbers))
      throw InputError(what + " set: the " + name +
                       " have values that are not finite: only finite ones can be learned");
}

TargetScale target_scale(const Recipe& recipe, const PatchSet& set) {
  if (!recipe.standardise) return {};
  const auto n = static_cast<double>(set.samples());
  double sum = 0.0, squares = 0.0;
  for (const double t : set.targets) sum += t;
  for (const double t : set.targets) squares += (t - sum / n) * (t - sum / n);
  return {sum / n, squares > 0.0 ? std::sqrt(squares / n) : 1.0};
}

/// The initial weights, in the network's order.
std::vector<float> first_weights(const Recipe& recipe) {
  const auto architecture = architecture_of(recipe.parameter);
  return TrainingNetwork(architecture)
      .arrange(flatten(initial_weights(architecture, recipe.seed, recipe.stream + "/weights")));
}

}  // namespace

void check_training(const Recipe& recipe, const PatchSet& training, const PatchSet& validation) {
  check_recipe(recipe);
  check_set(training, "training");
  check_set(validation, "validation");
  if (training.samples() == 0) throw std::invalid_argument("training set: has no samples");
}

TrainingBooks::TrainingBooks(const Recipe& recipe, const PatchSet& training, const PatchSet& validation, double peak,
                             std::optional<TrainingState> resume)
    : recipe_(recipe),
      training_(training),
      validation_(validation),
      targets_(target_scale(recipe, training)),
      plateau_(recipe.plateau_factor, recipe.plateau_times, recipe.plateau_patience) {
  if (recipe.tissue_scale > 0.0) tissue_gain_ = peak > 0.0 ? recipe.tissue_scale / peak : 1.0;
  if (resume)
    state_ = std::move(*resume);
  else
    state_.weights = first_weights(recipe);
  if (state_.weights.size() != TrainingNetwork(architecture_of(recipe.parameter)).size())
    throw std::invalid_argument("training: the state to resume from is of another architecture");
  plateau_ = PlateauRule(recipe.plateau_factor, recipe.plateau_times, recipe.plateau_patience, state_.plateau);
}

std::size_t TrainingBooks::steps_of_epoch() const {
  const auto batch = static_cast<std::size_t>(recipe_.batch);
  return (training_.samples() + batch - 1) / batch;
}

double TrainingBooks::learning_rate(std::int64_t n) const {
  if (recipe_.schedule == Schedule::one_cycle)
    return one_cycle_rate(recipe_, n, recipe_.epochs * static_cast<std::int64_t>(steps_of_epoch()));
  return decayed_rate(recipe_.learning_rate * plateau_.multiplier(), recipe_.decay, n);
}

std::string TrainingBooks::where(std::size_t step) const {
  return "mini-batch " + std::to_string(step + 1) + " of " + std::to_string(steps_of_epoch()) + " of epoch " +
         std::to_string(epoch());
}

void TrainingBooks::diverged(const std::string& what, const std::string& where) const {
  std::ostringstream text;
  text << "training of " << facts(recipe_.parameter).label << " (" << recipe_.stream << "): " << what << " at " << where
       << ", learning rate " << learning_rate() << ", input scale " << recipe_.input_scale
       << ": lower training.learning_rate or training.input_scale";
  throw TaskFailure(text.str());
}

void TrainingBooks::end_epoch(double validation_loss, std::span<const float> weights) {
  EpochRecord& record = state_.unfinished;
  record.epoch = epoch();
  record.training_loss /= static_cast<double>(training_.samples());
  record.gradient_norm /= static_cast<double>(steps_of_epoch());
  record.validation_loss = validation_loss;
  const std::string end = "the end of epoch " + std::to_string(epoch());
  if (!all_finite(weights)) diverged("a weight is not finite", end);
  if (validation_.samples() > 0) {
    if (!std::isfinite(validation_loss)) diverged("the validation loss is not finite", end);
    plateau_.epoch_done(validation_loss);
  }
  if (recipe_.keep_last || validation_.samples() == 0 || validation_loss < state_.best) {
    state_.best = validation_loss;
    state_.epoch_of_weights = record.epoch;
    state_.best_weights.assign(weights.begin(), weights.end());
  }
  state_.epochs.push_back(record);
  state_.unfinished = {};
  state_.steps_of_epoch = 0;
}

const TrainingState& TrainingBooks::complete_state() {
  state_.plateau = plateau_.state();
  return state_;
}

std::vector<NamedTensor> TrainingBooks::folded_tensors() const {
  if (state_.best_weights.empty()) return {};
  auto tensors = unflatten(architecture_of(recipe_.parameter),
                           TrainingNetwork(architecture_of(recipe_.parameter)).in_file_order(state_.best_weights));
  for (auto& tensor : tensors) {
    if (tensor.name == "ctc.conv1.weight")
      for (float& w : tensor.values) w = static_cast<float>(w * tissue_gain_);
    if (tensor.name == "fc8.weight" || tensor.name == "fc8.bias")
      for (float& w : tensor.values) w = static_cast<float>(w * targets_.scale);
    if (tensor.name == "fc8.bias")
      for (float& w : tensor.values) w = static_cast<float>(w + targets_.mean);
  }
  return tensors;
}

}  // namespace perfpipe
