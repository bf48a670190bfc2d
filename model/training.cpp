#include "core/error.hpp"
#include "model/bicnn_torch.hpp"
#include "model/gradient_sum.hpp"
#include "model/torch_parts.hpp"
#include "model/torch_threads.hpp"
#include "model/training_batches.hpp"

#include <algorithm>
#include <array>
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

/// How targets relate to what the network learns: target = mean + scale * output.
struct TargetScale {
  double mean = 0.0;
  double scale = 1.0;
};

TargetScale target_scale(const Recipe& recipe, const PatchSet& set) {
  if (!recipe.standardise) return {};
  const auto n = static_cast<double>(set.samples());
  double sum = 0.0, squares = 0.0;
  for (const double t : set.targets) sum += t;
  for (const double t : set.targets) squares += (t - sum / n) * (t - sum / n);
  return {sum / n, squares > 0.0 ? std::sqrt(squares / n) : 1.0};
}

class Trainer {
 public:
  Trainer(const Recipe& recipe, const PatchSet& training, const PatchSet& validation, const TrainingHooks& hooks,
          std::optional<TrainingState> resume)
      : recipe_(recipe),
        training_(training),
        validation_(validation),
        hooks_(hooks),
        rank_(hooks.group ? hooks.group->rank() : 0),
        ranks_(hooks.group ? hooks.group->size() : 1),
        targets_(target_scale(recipe, training)),
        training_batches_(training, recipe.input_scale),
        validation_batches_(validation, recipe.input_scale),
        weights_(at::empty({weight_count(architecture_of(recipe.parameter))}, at::kFloat)),
        gradient_(at::empty_like(weights_)),
        shards_(at::empty({gradient_shards, weights_.size(0)}, at::kFloat)),
        network_(architecture_of(recipe.parameter), weights_) {
    if (recipe.tissue_scale > 0.0) {
      const double peak = training_batches_.tissue_peak();
      tissue_gain_ = peak > 0.0 ? recipe.tissue_scale / peak : 1.0;
      training_batches_.set_tissue_gain(tissue_gain_);
      validation_batches_.set_tissue_gain(tissue_gain_);
    }
    if (resume)
      state_ = std::move(*resume);
    else
      state_.weights =
          flatten(initial_weights(architecture_of(recipe.parameter), recipe.seed, recipe.stream + "/weights"));
    if (static_cast<std::int64_t>(state_.weights.size()) != weights_.size(0))
      throw std::invalid_argument("training: the state to resume from is of another architecture");
    std::copy(state_.weights.begin(), state_.weights.end(), values(weights_).begin());
    plateau_ = PlateauRule(recipe.plateau_factor, recipe.plateau_times, recipe.plateau_patience, state_.plateau);
  }

  /// False if stop() ended it.
  bool epoch() {
    const auto number = static_cast<std::int64_t>(state_.epochs.size()) + 1;
    const auto order = epoch_order(training_.samples(), recipe_.seed, recipe_.stream, number);
    const auto batch = static_cast<std::size_t>(recipe_.batch);
    const std::size_t steps = steps_of_epoch();
    EpochRecord& record = state_.unfinished;
    record.epoch = number;
    for (auto s = static_cast<std::size_t>(state_.steps_of_epoch); s < steps; ++s) {
      const std::span<const std::size_t> samples(order.data() + s * batch, std::min(batch, order.size() - s * batch));
      const auto where = "mini-batch " + std::to_string(s + 1) + " of " + std::to_string(steps) + " of epoch " +
                         std::to_string(number);
      if (!step(samples, where, record)) return false;
      ++state_.steps_of_epoch;
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
    if (validation_.samples() == 0 || record.validation_loss < state_.best) {
      state_.best = record.validation_loss;
      state_.epoch_of_weights = number;
      state_.best_weights.assign(values(weights_).begin(), values(weights_).end());
    }
    state_.epochs.push_back(record);
    state_.unfinished = {};
    state_.steps_of_epoch = 0;
    return true;
  }

  const TrainingState& state() {
    state_.weights.assign(values(weights_).begin(), values(weights_).end());
    state_.plateau = plateau_.state();
    return state_;
  }

  /// The best weights as a network of plain inputs and targets: the tissue gain goes into the tissue chain's first
  /// layer, mean and scale of the targets into the last.
  std::vector<NamedTensor> folded_tensors() const {
    if (state_.best_weights.empty()) return {};
    auto tensors = unflatten(architecture_of(recipe_.parameter), state_.best_weights);
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

 private:
  std::size_t steps_of_epoch() const {
    const auto batch = static_cast<std::size_t>(recipe_.batch);
    return (training_.samples() + batch - 1) / batch;
  }

  double learning_rate() const {
    if (recipe_.schedule == Schedule::one_cycle)
      return one_cycle_rate(recipe_, state_.optimiser.steps,
                            recipe_.epochs * static_cast<std::int64_t>(steps_of_epoch()));
    return decayed_rate(recipe_.learning_rate * plateau_.multiplier(), recipe_.decay, state_.optimiser.steps);
  }

  [[noreturn]] void diverged(const std::string& what, const std::string& where) const {
    std::ostringstream text;
    text << "training of " << facts(recipe_.parameter).label << " (" << recipe_.stream << "): " << what << " at "
         << where << ", learning rate " << learning_rate() << ", input scale " << recipe_.input_scale
         << ": lower training.learning_rate or training.input_scale";
    throw TaskFailure(text.str());
  }

  /// One mini-batch; adds to the epoch's record. False, and nothing done, if some rank was asked to stop.
  bool step(std::span<const std::size_t> samples, const std::string& where, EpochRecord& record) {
    // What the ranks agree on by their maximum: a wish to stop, the largest gradient, each shard's squared error.
    std::array<double, 2 + gradient_shards> agreed{};
    agreed[0] = hooks_.stop && hooks_.stop() ? 1.0 : 0.0;
    if (agreed[0] > 0.0 && ranks_ == 1) return false;
    std::int64_t computed = 0;
    for (std::int64_t s = rank_; s < gradient_shards; s += ranks_) {
      const auto shard = part(samples, s);
      if (shard.empty()) continue;
      const double loss = squared_error(training_, training_batches_, shard);
      agreed[static_cast<std::size_t>(2 + s)] = std::isfinite(loss) ? loss : infinity;
      d_estimate_.resize_({static_cast<std::int64_t>(shard.size())});
      const double factor = 2.0 / (targets_.scale * static_cast<double>(samples.size()));
      std::transform(errors_.begin(), errors_.end(), values(d_estimate_).begin(),
                     [&](double error) { return static_cast<float>(factor * error); });
      const auto gradient = shards_.select(0, computed++);
      network_.backward(d_estimate_, gradient);
      agreed[1] = std::max(agreed[1], largest_magnitude(values(gradient)));
    }
    if (ranks_ > 1) hooks_.group->allreduce_max(agreed, "a step of " + recipe_.stream);
    if (agreed[0] > 0.0) return false;
    const double loss = std::accumulate(agreed.begin() + 2, agreed.end(), 0.0);
    if (!std::isfinite(loss)) diverged("the loss is not finite", where);
    if (!std::isfinite(agreed[1])) diverged("the gradient is not finite", where);
    sum_.sum(values(shards_.narrow(0, 0, computed)), agreed[1], ranks_ > 1 ? hooks_.group : nullptr, values(gradient_));
    record.training_loss += loss;
    record.gradient_norm += std::sqrt(squared_norm(values(gradient_)));
    record.learning_rate = learning_rate();
    if (recipe_.optimiser == OptimiserKind::adam)
      adam_step(values(weights_), values(gradient_), record.learning_rate, recipe_.momentum, state_.optimiser);
    else
      sgd_step(values(weights_), values(gradient_), record.learning_rate, recipe_.momentum, recipe_.dampening,
               state_.optimiser);
    return true;
  }

  static std::span<const std::size_t> part(std::span<const std::size_t> samples, std::int64_t shard) {
    const auto s = static_cast<std::size_t>(shard), n = samples.size();
    constexpr auto parts = static_cast<std::size_t>(gradient_shards);
    return samples.subspan(n * s / parts, n * (s + 1) / parts - n * s / parts);
  }

  /// Mean squared error over the validation samples, whose blocks the ranks share.
  double validation_loss() {
    std::vector<std::size_t> order(validation_.samples());
    std::iota(order.begin(), order.end(), std::size_t{0});
    constexpr std::size_t block = 64;
    std::vector<double> losses((order.size() + block - 1) / block, 0.0);
    for (auto b = static_cast<std::size_t>(rank_); b < losses.size(); b += static_cast<std::size_t>(ranks_)) {
      const double loss = squared_error(validation_, validation_batches_,
                                        {order.data() + b * block, std::min(block, order.size() - b * block)});
      losses[b] = std::isfinite(loss) ? loss : infinity;
    }
    if (ranks_ > 1) hooks_.group->allreduce_max(losses, "the validation of " + recipe_.stream);
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(order.size());  // NaN without
  }

  /// Sum over these samples, in the targets' units; leaves estimate - target of each in errors_.
  double squared_error(const PatchSet& set, Batches& batches, std::span<const std::size_t> samples) {
    batches.gather(samples);
    const auto estimates = values(network_.forward(batches.ctc(), batches.aif(), batches.selection()));
    errors_.resize(samples.size());
    double sum = 0.0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      errors_[i] = targets_.mean + targets_.scale * static_cast<double>(estimates[i]) -
                   static_cast<double>(set.targets[samples[i]]);
      sum += errors_[i] * errors_[i];
    }
    return sum;
  }

  static constexpr double infinity = std::numeric_limits<double>::infinity();
  const Recipe& recipe_;
  const PatchSet& training_;
  const PatchSet& validation_;
  const TrainingHooks& hooks_;
  int rank_;
  int ranks_;
  TargetScale targets_;
  double tissue_gain_ = 1.0;
  Batches training_batches_;
  Batches validation_batches_;
  at::Tensor weights_;
  at::Tensor gradient_;
  at::Tensor shards_;  ///< [gradient_shards, weights]
  at::Tensor d_estimate_ = at::empty({0}, at::kFloat);
  std::vector<double> errors_;
  BiCnn network_;
  GradientSum sum_;
  TrainingState state_;
  PlateauRule plateau_{0.1, 0, 1};
};

}  // namespace

TrainingResult train_by_torch(const Recipe& recipe, const PatchSet& training, const PatchSet& validation,
                              const TrainingHooks& hooks, std::optional<TrainingState> resume) {
  check_recipe(recipe);
  check_set(training, "training");
  check_set(validation, "validation");
  if (training.samples() == 0) throw std::invalid_argument("training set: has no samples");
  use_one_thread();
  const DenormalsAsZero denormals;

  Trainer trainer(recipe, training, validation, hooks, std::move(resume));
  TrainingResult result;
  while (static_cast<std::int64_t>(trainer.state().epochs.size()) < recipe.epochs && !result.stopped) {
    result.stopped = !trainer.epoch();
    if (!result.stopped && hooks.on_epoch) hooks.on_epoch(trainer.state().epochs.back(), trainer.state());
  }
  result.state = trainer.state();
  result.epochs = result.state.epochs;
  result.epoch_of_weights = result.state.epoch_of_weights;
  result.tensors = trainer.folded_tensors();
  return result;
}

}  // namespace perfpipe
