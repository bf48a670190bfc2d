// The paper's optimiser: Torch7's stochastic gradient descent, the rule that lowers its rate at a plateau, and the
// order of the samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// Torch7's optim.sgd with momentum: the velocity v is the gradient g at the first step, then
/// v <- momentum v + (1 - dampening) g; the weights move by -rate v with rate = learning_rate / (1 + n decay), n the
/// steps before this one. (PyTorch's default dampening of 0 makes the same learning rate ten times larger.)
class TorchSgd {
 public:
  TorchSgd(double momentum, double dampening, double decay)
      : momentum_(momentum), dampening_(dampening), decay_(decay) {}

  /// One step; `weights` and `gradient` have the same size at every step. Returns the decayed rate that was used.
  double step(std::span<float> weights, std::span<const float> gradient, double learning_rate);

  /// learning_rate / (1 + n decay) of the next step.
  double rate(double learning_rate) const { return learning_rate / (1.0 + static_cast<double>(steps_) * decay_); }

 private:
  double momentum_;
  double dampening_;
  double decay_;
  std::int64_t steps_ = 0;
  std::vector<float> velocity_;
};

/// "The learning rate was divided by 10 when the validation error rate stopped improving with the current learning
/// rate. This heuristic was repeated three times" (paper, V.B): `patience` epochs in a row without a new best at the
/// current rate lower it, `times` times at most; the best starts anew with each rate.
class PlateauRule {
 public:
  PlateauRule(double factor, std::int64_t times, std::int64_t patience)
      : factor_(factor), times_(times), patience_(patience) {}

  /// Takes an epoch's validation error; the multiplier is then that of the next epoch.
  void epoch_done(double validation_error);
  double multiplier() const { return multiplier_; }

 private:
  double factor_;
  std::int64_t times_;
  std::int64_t patience_;
  double multiplier_ = 1.0;
  double best_ = std::numeric_limits<double>::infinity();
  std::int64_t without_best_ = 0;
};

/// The order of an epoch's samples: Fisher-Yates from a stream of the epoch's own, so that an epoch can be repeated
/// without those before it.
std::vector<std::size_t> epoch_order(std::size_t samples, std::uint64_t seed, const std::string& stream,
                                     std::int64_t epoch);

/// Sum of squares in double precision, in a fixed order.
double squared_norm(std::span<const float> values);

}  // namespace perfpipe
