#include "model/training.hpp"

#include "core/error.hpp"
#include "model/bicnn_torch.hpp"
#include "model/scaling.hpp"
#include "model/sgd.hpp"
#include "model/threads.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace perfpipe {
namespace {

constexpr auto samples_of_curve = static_cast<std::size_t>(curve_samples);
constexpr auto positions = static_cast<std::size_t>(patch_positions);

// The paper's learning rates and their decays (V.B), by parameter index: CBF, CBV, MTT, Tmax.
constexpr PerParameter paper_learning_rates{5e-5, 5e-4, 5e-3, 5e-3};
constexpr PerParameter paper_decays{1e-9, 1e-8, 1e-7, 1e-7};

std::span<float> values(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

bool all_finite(std::span<const float> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
}

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

void check_recipe(const Recipe& recipe) {
  const auto finite_from = [](double x, double low) { return std::isfinite(x) && x >= low; };
  if (recipe.batch < 1 || recipe.epochs < 1 || !finite_from(recipe.learning_rate, 0.0) ||
      !finite_from(recipe.decay, 0.0) || !finite_from(recipe.momentum, 0.0) || !std::isfinite(recipe.dampening) ||
      !finite_from(recipe.plateau_factor, 0.0) || recipe.plateau_times < 0 || recipe.plateau_patience < 1 ||
      !finite_from(recipe.input_scale, std::numeric_limits<double>::min()))
    throw std::invalid_argument("recipe '" + recipe.name + "': a number is out of its range");
}

/// Values below the smallest normal number count as zero while this exists: the velocities of units that have died
/// decay towards it and stay there. Measured with most units dead: 5 to 10 % of the time on Zen 4, where such numbers
/// cost little; on cores that handle them in microcode (some 150 cycles each) the step of 130,000 weights would
/// dominate.
class DenormalsAsZero {
 public:
  DenormalsAsZero() { at::globalContext().setFlushDenormal(true); }
  ~DenormalsAsZero() { at::globalContext().setFlushDenormal(false); }
  DenormalsAsZero(const DenormalsAsZero&) = delete;
  DenormalsAsZero& operator=(const DenormalsAsZero&) = delete;
};

/// The network's inputs for some samples of a set, in buffers that are kept.
class Inputs {
 public:
  Inputs(const PatchSet& set, double input_scale) : set_(set), factors_(set.aifs.size() / samples_of_curve) {
    std::vector<bool> seen(factors_.size());
    for (const auto patient : set.patient) {
      const auto row = static_cast<std::size_t>(patient);
      if (seen[row]) continue;
      seen[row] = true;
      try {
        factors_[row] = input_factor(aif(row), input_scale);
      } catch (const InputError& e) {
        throw InputError("patient in row " + std::to_string(row) + " of the set: " + e.what());
      }
    }
  }

  void gather(std::span<const std::size_t> samples) {
    std::vector<std::size_t> patients;
    for (const auto s : samples) patients.push_back(patient(s));
    std::sort(patients.begin(), patients.end());
    patients.erase(std::unique(patients.begin(), patients.end()), patients.end());
    const auto count = static_cast<std::int64_t>(samples.size());
    const auto patient_count = static_cast<std::int64_t>(patients.size());
    ctc_.resize_({count * patch_positions, curve_samples});
    aif_.resize_({patient_count, curve_samples});
    selection_.resize_({count, patient_count}).zero_();
    for (std::size_t i = 0; i < patients.size(); ++i)
      scale_curve(aif(patients[i]), factors_[patients[i]],
                  values(aif_).subspan(i * samples_of_curve, samples_of_curve));
    constexpr std::size_t patch_values = positions * samples_of_curve;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto row = patient(samples[i]);
      scale_patch(set_.curves, set_.neighbours.subspan(samples[i] * positions, positions), factors_[row],
                  values(ctc_).subspan(i * patch_values, patch_values));
      const auto column = std::lower_bound(patients.begin(), patients.end(), row) - patients.begin();
      values(selection_)[i * patients.size() + static_cast<std::size_t>(column)] = 1.0f;
    }
  }

  const at::Tensor& ctc() const { return ctc_; }
  const at::Tensor& aif() const { return aif_; }
  const at::Tensor& selection() const { return selection_; }

 private:
  std::size_t patient(std::size_t sample) const { return static_cast<std::size_t>(set_.patient[sample]); }
  std::span<const float> aif(std::size_t row) const {
    return set_.aifs.subspan(row * samples_of_curve, samples_of_curve);
  }

  const PatchSet& set_;
  std::vector<float> factors_;  ///< of the patients that have samples
  at::Tensor ctc_ = at::empty({0}, at::kFloat);
  at::Tensor aif_ = at::empty({0}, at::kFloat);
  at::Tensor selection_ = at::empty({0}, at::kFloat);
};

class Trainer {
 public:
  Trainer(const Recipe& recipe, const PatchSet& training, const PatchSet& validation)
      : recipe_(recipe),
        training_(training),
        validation_(validation),
        training_inputs_(training, recipe.input_scale),
        validation_inputs_(validation, recipe.input_scale),
        weights_(at::empty({weight_count(architecture_of(recipe.parameter))}, at::kFloat)),
        gradient_(at::empty_like(weights_)),
        network_(architecture_of(recipe.parameter), weights_),
        optimiser_(recipe.momentum, recipe.dampening, recipe.decay),
        plateau_(recipe.plateau_factor, recipe.plateau_times, recipe.plateau_patience) {
    const auto initial =
        flatten(initial_weights(architecture_of(recipe.parameter), recipe.seed, recipe.stream + "/weights"));
    std::copy(initial.begin(), initial.end(), values(weights_).begin());
  }

  /// Nothing if stop() ended it.
  std::optional<EpochRecord> epoch(std::int64_t number, const std::function<bool()>& stop) {
    EpochRecord record;
    record.epoch = number;
    const auto order = epoch_order(training_.samples(), recipe_.seed, recipe_.stream, number);
    const auto batch = static_cast<std::size_t>(recipe_.batch);
    std::size_t steps = 0;
    for (std::size_t start = 0; start < order.size(); start += batch, ++steps) {
      if (stop && stop()) return std::nullopt;
      const std::span<const std::size_t> samples(order.data() + start, std::min(batch, order.size() - start));
      const std::size_t all_steps = (order.size() + batch - 1) / batch;
      const auto where = "mini-batch " + std::to_string(steps + 1) + " of " + std::to_string(all_steps) + " of epoch " +
                         std::to_string(number);
      record.training_loss += step(samples, where, record);
    }
    record.training_loss /= static_cast<double>(order.size());
    record.gradient_norm /= static_cast<double>(steps);
    if (!all_finite(values(weights_))) diverged("a weight is not finite", "the end of epoch " + std::to_string(number));
    record.validation_loss = validation_loss();
    if (validation_.samples() > 0) {
      if (!std::isfinite(record.validation_loss))
        diverged("the validation loss is not finite", "the end of epoch " + std::to_string(number));
      plateau_.epoch_done(record.validation_loss);
    }
    return record;
  }

  const at::Tensor& weights() const { return weights_; }

 private:
  [[noreturn]] void diverged(const std::string& what, const std::string& where) const {
    std::ostringstream text;
    text << "training of " << facts(recipe_.parameter).label << " (" << recipe_.stream << "): " << what << " at "
         << where << ", learning rate " << optimiser_.rate(recipe_.learning_rate * plateau_.multiplier())
         << ", input scale " << recipe_.input_scale << ": lower training.learning_rate or training.input_scale";
    throw TaskFailure(text.str());
  }

  /// One mini-batch: returns its summed squared error before the step, and adds to the epoch's record.
  double step(std::span<const std::size_t> samples, const std::string& where, EpochRecord& record) {
    const double loss = squared_error(training_, training_inputs_, samples);
    if (!std::isfinite(loss)) diverged("the loss is not finite", where);
    d_estimate_.resize_({static_cast<std::int64_t>(samples.size())});
    std::transform(errors_.begin(), errors_.end(), values(d_estimate_).begin(),
                   [&](double error) { return static_cast<float>(2.0 * error / static_cast<double>(samples.size())); });
    network_.backward(d_estimate_, gradient_);
    const double norm = std::sqrt(squared_norm(values(gradient_)));
    if (!std::isfinite(norm)) diverged("the gradient is not finite", where);
    record.gradient_norm += norm;
    record.learning_rate =
        optimiser_.step(values(weights_), values(gradient_), recipe_.learning_rate * plateau_.multiplier());
    return loss;
  }

  double validation_loss() {
    std::vector<std::size_t> order(validation_.samples());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto batch = static_cast<std::size_t>(recipe_.batch);
    double loss = 0.0;
    for (std::size_t start = 0; start < order.size(); start += batch)
      loss +=
          squared_error(validation_, validation_inputs_, {order.data() + start, std::min(batch, order.size() - start)});
    return loss / static_cast<double>(order.size());  // NaN where there are none
  }

  /// Sum over these samples; leaves estimate - target of each in errors_.
  double squared_error(const PatchSet& set, Inputs& inputs, std::span<const std::size_t> samples) {
    inputs.gather(samples);
    const auto estimates = values(network_.forward(inputs.ctc(), inputs.aif(), inputs.selection()));
    errors_.resize(samples.size());
    double sum = 0.0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      errors_[i] = static_cast<double>(estimates[i]) - static_cast<double>(set.targets[samples[i]]);
      sum += errors_[i] * errors_[i];
    }
    return sum;
  }

  const Recipe& recipe_;
  const PatchSet& training_;
  const PatchSet& validation_;
  Inputs training_inputs_;
  Inputs validation_inputs_;
  at::Tensor weights_;
  at::Tensor gradient_;
  at::Tensor d_estimate_ = at::empty({0}, at::kFloat);
  std::vector<double> errors_;
  BiCnn network_;
  TorchSgd optimiser_;
  PlateauRule plateau_;
};

}  // namespace

Recipe paper_recipe(Parameter parameter) {
  Recipe recipe;
  recipe.parameter = parameter;
  recipe.learning_rate = paper_learning_rates[index(parameter)];
  recipe.decay = paper_decays[index(parameter)];
  recipe.input_scale = paper_input_scale[index(parameter)];
  return recipe;
}

TrainingResult train(const Recipe& recipe, const PatchSet& training, const PatchSet& validation,
                     const std::function<void(const EpochRecord&)>& on_epoch, const std::function<bool()>& stop) {
  check_recipe(recipe);
  check_set(training, "training");
  check_set(validation, "validation");
  if (training.samples() == 0) throw std::invalid_argument("training set: has no samples");
  use_one_thread();
  const DenormalsAsZero denormals;

  Trainer trainer(recipe, training, validation);
  TrainingResult result;
  double best = std::numeric_limits<double>::infinity();
  std::vector<float> weights;
  for (std::int64_t epoch = 1; epoch <= recipe.epochs; ++epoch) {
    const auto record = trainer.epoch(epoch, stop);
    if (!record) {
      result.stopped = true;
      break;
    }
    result.epochs.push_back(*record);
    if (validation.samples() == 0 || record->validation_loss < best) {
      best = record->validation_loss;
      result.epoch_of_weights = epoch;
      const auto now = values(trainer.weights());
      weights.assign(now.begin(), now.end());
    }
    if (on_epoch) on_epoch(*record);
  }
  if (!weights.empty()) result.tensors = unflatten(architecture_of(recipe.parameter), weights);
  return result;
}

}  // namespace perfpipe
