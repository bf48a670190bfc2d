#include "model/optimiser.hpp"

#include "core/random.hpp"

#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace perfpipe {

namespace {

void check_sizes(std::span<float> weights, std::span<const float> gradient, const std::vector<float>& memory,
                 std::int64_t steps) {
  if (gradient.size() != weights.size() || (steps > 0 && memory.size() != weights.size()))
    throw std::invalid_argument("optimiser: weights and gradient must have the same size at every step");
}

}  // namespace

void sgd_step(std::span<float> weights, std::span<const float> gradient, double rate, double momentum, double dampening,
              OptimiserState& state) {
  check_sizes(weights, gradient, state.velocity, state.steps);
  auto& velocity = state.velocity;
  if (state.steps == 0) {
    velocity.assign(gradient.begin(), gradient.end());
  } else {
    const auto keep = static_cast<float>(momentum);
    const auto take = static_cast<float>(1.0 - dampening);
    for (std::size_t i = 0; i < velocity.size(); ++i) velocity[i] = keep * velocity[i] + take * gradient[i];
  }
  const auto move = static_cast<float>(rate);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] -= move * velocity[i];
  ++state.steps;
}

double decayed_rate(double learning_rate, double decay, std::int64_t steps) {
  return learning_rate / (1.0 + static_cast<double>(steps) * decay);
}

void adam_step(std::span<float> weights, std::span<const float> gradient, double rate, double beta1,
               OptimiserState& state) {
  constexpr double beta2 = 0.999, epsilon = 1e-8;
  check_sizes(weights, gradient, state.square, state.steps);
  if (state.steps == 0) {
    state.velocity.assign(weights.size(), 0.0f);
    state.square.assign(weights.size(), 0.0f);
  }
  ++state.steps;
  const auto n = static_cast<double>(state.steps);
  const double correction = std::sqrt(1.0 - std::pow(beta2, n));
  const auto keep = static_cast<float>(beta1), take = static_cast<float>(1.0 - beta1);
  const auto keep_square = static_cast<float>(beta2), take_square = static_cast<float>(1.0 - beta2);
  const auto move = static_cast<float>(rate * correction / (1.0 - std::pow(beta1, n)));
  const auto floor = static_cast<float>(epsilon * correction);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float g = gradient[i];
    float& mean = state.velocity[i];
    float& square = state.square[i];
    mean = keep * mean + take * g;
    square = keep_square * square + take_square * g * g;
    weights[i] -= move * mean / (std::sqrt(square) + floor);
  }
}

void PlateauRule::epoch_done(double validation_error) {
  if (validation_error < state_.best) {
    state_.best = validation_error;
    state_.without_best = 0;
    return;
  }
  if (++state_.without_best < patience_ || state_.times_used >= times_) return;
  state_.multiplier *= factor_;
  ++state_.times_used;
  state_.best = std::numeric_limits<double>::infinity();
  state_.without_best = 0;
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
