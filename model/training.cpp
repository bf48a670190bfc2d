#include "model/training.hpp"

#include "core/arrays.hpp"
#include "core/error.hpp"
#include "model/gradient_sum.hpp"
#include "model/training_batches.hpp"
#include "model/training_books.hpp"
#include "model/training_network.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace perfpipe {
namespace {

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
        training_batches_(training, recipe.parameter, recipe.input_scale),
        validation_batches_(validation, recipe.parameter, recipe.input_scale),
        books_(recipe, training, validation, recipe.tissue_scale > 0.0 ? training_batches_.tissue_peak() : 0.0,
               std::move(resume)),
        network_(architecture_of(recipe.parameter)),
        weights_(network_.size()) {
    training_batches_.set_tissue_gain(books_.tissue_gain());
    validation_batches_.set_tissue_gain(books_.tissue_gain());
    std::copy(books_.state().weights.begin(), books_.state().weights.end(), weights_.data());
  }

  TrainingBooks& books() { return books_; }

  /// False if stop() ended it.
  bool epoch() {
    const auto order = epoch_order(training_.samples(), recipe_.seed, recipe_.stream, books_.epoch());
    const auto batch = static_cast<std::size_t>(recipe_.batch);
    auto& state = books_.state();
    books_.record().epoch = books_.epoch();
    for (auto s = static_cast<std::size_t>(state.steps_of_epoch); s < books_.steps_of_epoch(); ++s) {
      const std::span<const std::size_t> samples(order.data() + s * batch, std::min(batch, order.size() - s * batch));
      if (!step(samples, s, books_.record())) return false;
      ++state.steps_of_epoch;
    }
    books_.end_epoch(all_finite(weights_.span()) ? validation_loss() : std::numeric_limits<double>::quiet_NaN(),
                     weights_.span());
    return true;
  }

  const TrainingState& state() {
    books_.state().weights.assign(weights_.data(), weights_.data() + weights_.size());
    return books_.complete_state();
  }

 private:
  /// One mini-batch; adds to the epoch's record. False, and nothing done, if some rank was asked to stop.
  bool step(std::span<const std::size_t> samples, std::size_t number, EpochRecord& record) {
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
      const double factor = 2.0 / (books_.targets().scale * static_cast<double>(samples.size()));
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
    if (!std::isfinite(loss)) books_.diverged("the loss is not finite", books_.where(number));
    if (!std::isfinite(agreed[1])) books_.diverged("the gradient is not finite", books_.where(number));
    sum_.sum(shards_.span().first(computed * size), agreed[1], ranks_ > 1 ? hooks_.group : nullptr,
             gradient_.span().first(size));
    network_.finish_gradient(gradient_.span());
    const auto gradient = gradient_.span().first(network_.size());
    record.training_loss += loss;
    record.gradient_norm += std::sqrt(squared_norm(gradient));
    record.learning_rate = books_.learning_rate();
    if (recipe_.optimiser == OptimiserKind::adam)
      adam_step(weights_.span(), gradient, record.learning_rate, recipe_.momentum, books_.state().optimiser);
    else
      sgd_step(weights_.span(), gradient, record.learning_rate, recipe_.momentum, recipe_.dampening,
               books_.state().optimiser);
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
        errors[i] = books_.targets().mean + books_.targets().scale * static_cast<double>(estimates[i]) -
                    batches.target(start + i);
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
  Batches training_batches_;
  Batches validation_batches_;
  TrainingBooks books_;
  TrainingNetwork network_;
  AlignedFloats weights_;   ///< in the network's order, as the state's
  AlignedFloats gradient_;  ///< [gradient_size]
  AlignedFloats shards_;    ///< [gradient_shards, shard_size]
  GradientSum sum_;
};

}  // namespace

TrainingResult train(const Recipe& recipe, const PatchSet& training, const PatchSet& validation,
                     const TrainingHooks& hooks, std::optional<TrainingState> resume) {
  check_training(recipe, training, validation);
  const DenormalsAsZero denormals;

  Trainer trainer(recipe, training, validation, hooks, std::move(resume));
  TrainingResult result;
  while (!trainer.books().done() && !result.stopped) {
    result.stopped = !trainer.epoch();
    if (!result.stopped && hooks.on_epoch) hooks.on_epoch(trainer.state().epochs.back(), trainer.state());
  }
  result.state = trainer.state();
  result.epochs = result.state.epochs;
  result.epoch_of_weights = result.state.epoch_of_weights;
  result.tensors = trainer.books().folded_tensors();
  return result;
}

}  // namespace perfpipe
