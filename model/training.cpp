#include "model/training.hpp"

#include "core/error.hpp"
#include "model/gradient_sum.hpp"
#include "model/training_batches.hpp"
#include "model/training_network.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

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
#ifdef __SSE__
  DenormalsAsZero() { _mm_setcsr(before_ | flush_to_zero | denormals_are_zero); }
  ~DenormalsAsZero() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
  unsigned before_ = _mm_getcsr();
#endif
 public:
  DenormalsAsZero(const DenormalsAsZero&) = delete;
  DenormalsAsZero& operator=(const DenormalsAsZero&) = delete;
#ifndef __SSE__
  DenormalsAsZero() {}
#endif
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
        training_batches_(training, recipe.parameter, recipe.input_scale),
        validation_batches_(validation, recipe.parameter, recipe.input_scale),
        network_(architecture_of(recipe.parameter)),
        weights_(network_.size()) {
    if (recipe.tissue_scale > 0.0) {
      const double peak = training_batches_.tissue_peak();
      tissue_gain_ = peak > 0.0 ? recipe.tissue_scale / peak : 1.0;
      training_batches_.set_tissue_gain(tissue_gain_);
      validation_batches_.set_tissue_gain(tissue_gain_);
    }
    if (resume)
      state_ = std::move(*resume);
    else
      state_.weights = network_.arrange(
          flatten(initial_weights(architecture_of(recipe.parameter), recipe.seed, recipe.stream + "/weights")));
    if (state_.weights.size() != weights_.size())
      throw std::invalid_argument("training: the state to resume from is of another architecture");
    std::copy(state_.weights.begin(), state_.weights.end(), weights_.data());
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
      if (!step(samples, s, where, record)) return false;
      ++state_.steps_of_epoch;
    }
    record.training_loss /= static_cast<double>(order.size());
    record.gradient_norm /= static_cast<double>(steps);
    if (!all_finite(weights_.span())) diverged("a weight is not finite", "the end of epoch " + std::to_string(number));
    record.validation_loss = validation_loss();
    if (validation_.samples() > 0) {
      if (!std::isfinite(record.validation_loss))
        diverged("the validation loss is not finite", "the end of epoch " + std::to_string(number));
      plateau_.epoch_done(record.validation_loss);
    }
    if (recipe_.keep_last || validation_.samples() == 0 || record.validation_loss < state_.best) {
      state_.best = record.validation_loss;
      state_.epoch_of_weights = number;
      state_.best_weights.assign(weights_.data(), weights_.data() + weights_.size());
    }
    state_.epochs.push_back(record);
    state_.unfinished = {};
    state_.steps_of_epoch = 0;
    return true;
  }

  const TrainingState& state() {
    state_.weights.assign(weights_.data(), weights_.data() + weights_.size());
    state_.plateau = plateau_.state();
    return state_;
  }

  /// The best weights as a network of plain inputs and targets: the tissue gain goes into the tissue chain's first
  /// layer, mean and scale of the targets into the last.
  std::vector<NamedTensor> folded_tensors() const {
    if (state_.best_weights.empty()) return {};
    auto tensors = unflatten(architecture_of(recipe_.parameter), network_.in_file_order(state_.best_weights));
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
  bool step(std::span<const std::size_t> samples, std::size_t number, const std::string& where, EpochRecord& record) {
    // What the ranks agree on by their maximum: a wish to stop, the largest gradient, each shard's squared error.
    std::array<double, 2 + gradient_shards> agreed{};
    agreed[0] = hooks_.stop && hooks_.stop() ? 1.0 : 0.0;
    if (agreed[0] > 0.0 && ranks_ == 1) return false;
    const std::size_t patients = training_batches_.choose(samples);
    network_.begin(weights_.span(), training_batches_.aifs({recipe_, record.epoch, number, samples.size(), patients}),
                   true);
    const std::size_t size = network_.shard_size(patients);
    shards_.resize(gradient_shards * size);
    gradient_.resize(network_.gradient_size(patients));
    std::size_t computed = 0;
    for (std::int64_t s = rank_; s < gradient_shards; s += ranks_) {
      const std::size_t first = start_of(s, samples.size()), count = start_of(s + 1, samples.size()) - first;
      if (count == 0) continue;
      const auto gradient = shards_.span().subspan(computed++ * size, size);
      bool first_piece = true;
      const double factor = 2.0 / (targets_.scale * static_cast<double>(samples.size()));
      const auto backward = [&](std::span<const double> errors) {
        std::array<float, samples_at_once> d_estimates{};
        std::transform(errors.begin(), errors.end(), d_estimates.begin(),
                       [&](double error) { return static_cast<float>(factor * error); });
        network_.add_gradient({d_estimates.data(), errors.size()}, std::exchange(first_piece, false), gradient);
      };
      const double loss = squared_error(training_batches_, first, count, backward);
      agreed[static_cast<std::size_t>(2 + s)] = std::isfinite(loss) ? loss : infinity;
      agreed[1] = std::max(agreed[1], largest_magnitude(gradient));
    }
    if (ranks_ > 1) hooks_.group->allreduce_max(agreed, "a step of " + recipe_.stream);
    if (agreed[0] > 0.0) return false;
    const double loss = std::accumulate(agreed.begin() + 2, agreed.end(), 0.0);
    if (!std::isfinite(loss)) diverged("the loss is not finite", where);
    if (!std::isfinite(agreed[1])) diverged("the gradient is not finite", where);
    sum_.sum(shards_.span().first(computed * size), agreed[1], ranks_ > 1 ? hooks_.group : nullptr,
             gradient_.span().first(size));
    network_.finish_gradient(gradient_.span());
    const auto gradient = gradient_.span().first(network_.size());
    record.training_loss += loss;
    record.gradient_norm += std::sqrt(squared_norm(gradient));
    record.learning_rate = learning_rate();
    if (recipe_.optimiser == OptimiserKind::adam)
      adam_step(weights_.span(), gradient, record.learning_rate, recipe_.momentum, state_.optimiser);
    else
      sgd_step(weights_.span(), gradient, record.learning_rate, recipe_.momentum, recipe_.dampening, state_.optimiser);
    return true;
  }

  /// Where a shard of a mini-batch begins.
  static std::size_t start_of(std::int64_t shard, std::size_t samples) {
    return samples * static_cast<std::size_t>(shard) / static_cast<std::size_t>(gradient_shards);
  }

  /// Mean squared error over the validation samples, whose blocks the ranks share; NaN without samples.
  double validation_loss() {
    std::vector<std::size_t> order(validation_.samples());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (order.empty()) return std::numeric_limits<double>::quiet_NaN();
    validation_batches_.choose(order);
    network_.begin(weights_.span(), validation_batches_.aifs(), false);
    constexpr std::size_t block = 64;
    std::vector<double> losses((order.size() + block - 1) / block, 0.0);
    for (auto b = static_cast<std::size_t>(rank_); b < losses.size(); b += static_cast<std::size_t>(ranks_)) {
      const double loss = squared_error(validation_batches_, b * block, std::min(block, order.size() - b * block),
                                        [](std::span<const double>) {});
      losses[b] = std::isfinite(loss) ? loss : infinity;
    }
    if (ranks_ > 1) hooks_.group->allreduce_max(losses, "the validation of " + recipe_.stream);
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(order.size());
  }

  /// Sum over these samples of the chosen mini-batch, in the targets' units. `piece` gets estimate -
  /// target of up to samples_at_once of them, while the network holds their activations.
  template <class Piece>
  double squared_error(Batches& batches, std::size_t first, std::size_t count, const Piece& piece) {
    double sum = 0.0;
    for (std::size_t done = 0; done < count; done += samples_at_once) {
      const std::size_t start = first + done, here = std::min(samples_at_once, count - done);
      const auto estimates = network_.estimate(batches.gather(start, here, network_.curves()));
      std::array<double, samples_at_once> errors{};
      for (std::size_t i = 0; i < here; ++i) {
        errors[i] = targets_.mean + targets_.scale * static_cast<double>(estimates[i]) - batches.target(start + i);
        sum += errors[i] * errors[i];
      }
      piece(std::span<const double>(errors.data(), here));
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
  TrainingNetwork network_;
  AlignedFloats weights_;   ///< in the network's order, as the state's
  AlignedFloats gradient_;  ///< [gradient_size]
  AlignedFloats shards_;    ///< [gradient_shards, shard_size]
  GradientSum sum_;
  TrainingState state_;
  PlateauRule plateau_{0.1, 0, 1};
};

}  // namespace

TrainingResult train(const Recipe& recipe, const PatchSet& training, const PatchSet& validation,
                     const TrainingHooks& hooks, std::optional<TrainingState> resume) {
  check_recipe(recipe);
  check_set(training, "training");
  check_set(validation, "validation");
  if (training.samples() == 0) throw std::invalid_argument("training set: has no samples");
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
