#include "model/sgd.hpp"

#include "core/random.hpp"

#include <array>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace perfpipe {

double TorchSgd::step(std::span<float> weights, std::span<const float> gradient, double learning_rate) {
  if (gradient.size() != weights.size() || (steps_ > 0 && velocity_.size() != weights.size()))
    throw std::invalid_argument("TorchSgd::step: weights and gradient must have the same size at every step");
  if (steps_ == 0) {
    velocity_.assign(gradient.begin(), gradient.end());
  } else {
    const auto keep = static_cast<float>(momentum_);
    const auto take = static_cast<float>(1.0 - dampening_);
    for (std::size_t i = 0; i < velocity_.size(); ++i) velocity_[i] = keep * velocity_[i] + take * gradient[i];
  }
  const double used = rate(learning_rate);
  const auto move = static_cast<float>(used);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] -= move * velocity_[i];
  ++steps_;
  return used;
}

void PlateauRule::epoch_done(double validation_error) {
  if (validation_error < best_) {
    best_ = validation_error;
    without_best_ = 0;
    return;
  }
  if (++without_best_ < patience_ || times_ == 0) return;
  multiplier_ *= factor_;
  --times_;
  best_ = std::numeric_limits<double>::infinity();
  without_best_ = 0;
}

std::vector<std::size_t> epoch_order(std::size_t samples, std::uint64_t seed, const std::string& stream,
                                     std::int64_t epoch) {
  std::vector<std::size_t> order(samples);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(seed, stream + "/shuffle/" + std::to_string(epoch));
  for (std::size_t i = samples; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

double squared_norm(std::span<const float> values) {
  // Eight partial sums: one chain of additions would take as long as a small layer.
  std::array<double, 8> sums{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto x = static_cast<double>(values[i]);
    sums[i % 8] += x * x;
  }
  double sum = 0.0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace perfpipe
