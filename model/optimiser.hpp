// What moves the weights: Torch7's stochastic gradient descent, Adam, the rule that lowers the rate at a plateau, and
// the order of the samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// What an optimiser remembers from step to step; the vectors are empty or as long as the weights.
struct OptimiserState {
  std::int64_t steps = 0;
  std::vector<float> velocity;  ///< of SGD; Adam's mean of gradients
  std::vector<float> square;    ///< Adam's mean of squared gradients
  bool operator==(const OptimiserState&) const = default;
};

/// One step of Torch7's optim.sgd with momentum: the velocity v is the gradient g at the first step, then
/// v <- momentum v + (1 - dampening) g; the weights move by -rate v. (PyTorch's default dampening of 0 makes the same
/// learning rate ten times larger.) All spans have one size at every step.
void sgd_step(std::span<float> weights, std::span<const float> gradient, double rate, double momentum, double dampening,
              OptimiserState& state);

/// rate / (1 + n decay) for the next step, n the steps so far (Torch7's learningRateDecay).
double decayed_rate(double learning_rate, double decay, std::int64_t steps);

/// What Adam's step n (from 1) moves by: weight -= rate * mean / (sqrt(square) + floor), of means that are not
/// corrected for their start at zero.
struct AdamRate {
  float rate, floor;
};
AdamRate adam_rate(double rate, double beta1, std::int64_t n);
inline constexpr double adam_beta2 = 0.999;

/// One step of Adam (Kingma and Ba, ICLR 2015), beta2 0.999, epsilon 1e-8 beside the corrected root.
void adam_step(std::span<float> weights, std::span<const float> gradient, double rate, double beta1,
               OptimiserState& state);

/// What the plateau rule remembers.
struct PlateauState {
  double multiplier = 1.0;
  double best = std::numeric_limits<double>::infinity();
  std::int64_t without_best = 0;
  std::int64_t times_used = 0;
  bool operator==(const PlateauState&) const = default;
};

/// "The learning rate was divided by 10 when the validation error rate stopped improving with the current learning
/// rate. This heuristic was repeated three times" (paper, V.B): `patience` epochs in a row without a new best at the
/// current rate lower it, `times` times at most; the best starts anew with each rate.
class PlateauRule {
 public:
  PlateauRule(double factor, std::int64_t times, std::int64_t patience, PlateauState state = {})
      : factor_(factor), times_(times), patience_(patience), state_(state) {}

  /// Takes an epoch's validation error; the multiplier is then that of the next epoch.
  void epoch_done(double validation_error);
  double multiplier() const { return state_.multiplier; }
  const PlateauState& state() const { return state_; }

 private:
  double factor_;
  std::int64_t times_;
  std::int64_t patience_;
  PlateauState state_;
};

/// The order of an epoch's samples: Fisher-Yates from a stream of the epoch's own, so that an epoch can be repeated
/// without those before it.
std::vector<std::size_t> epoch_order(std::size_t samples, std::uint64_t seed, const std::string& stream,
                                     std::int64_t epoch);

/// Sum of squares in double precision, in a fixed order.
double squared_norm(std::span<const float> values);

}  // namespace perfpipe
