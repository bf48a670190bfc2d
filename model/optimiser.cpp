#include "model/optimiser.hpp"

#include "core/random.hpp"
#include "core/simd.hpp"

#include <algorithm>
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

// Compiled for several processors, without fused operations (see CMakeLists.txt): all give the same bits.

PERFPIPE_SIMD void move(float* weights, const float* velocity, std::size_t count, float rate) {
  for (std::size_t i = 0; i < count; ++i) weights[i] -= rate * velocity[i];
}

PERFPIPE_SIMD void move_with_momentum(float* weights, float* velocity, const float* gradient, std::size_t count,
                                      float keep, float take, float rate) {
  for (std::size_t i = 0; i < count; ++i) {
    velocity[i] = keep * velocity[i] + take * gradient[i];
    weights[i] -= rate * velocity[i];
  }
}

struct AdamFactors {
  float keep, take, keep_square, take_square, rate, floor;
};

PERFPIPE_SIMD void move_by_adam(float* weights, float* means, float* squares, const float* gradient, std::size_t count,
                                AdamFactors f) {
  for (std::size_t i = 0; i < count; ++i) {
    const float g = gradient[i];
    means[i] = f.keep * means[i] + f.take * g;
    squares[i] = f.keep_square * squares[i] + f.take_square * g * g;
    weights[i] -= f.rate * means[i] / (std::sqrt(squares[i]) + f.floor);
  }
}

constexpr std::size_t partial_sums = 32;

PERFPIPE_SIMD void add_squares(const float* values, std::size_t blocks, double* sums) {
  for (std::size_t b = 0; b < blocks; ++b)
    for (std::size_t i = 0; i < partial_sums; ++i) {
      const auto x = static_cast<double>(values[b * partial_sums + i]);
      sums[i] += x * x;
    }
}

}  // namespace

void sgd_step(std::span<float> weights, std::span<const float> gradient, double rate, double momentum, double dampening,
              OptimiserState& state) {
  check_sizes(weights, gradient, state.velocity, state.steps);
  auto& velocity = state.velocity;
  if (state.steps == 0) {
    velocity.assign(gradient.begin(), gradient.end());
    move(weights.data(), velocity.data(), weights.size(), static_cast<float>(rate));
  } else {
    move_with_momentum(weights.data(), velocity.data(), gradient.data(), weights.size(), static_cast<float>(momentum),
                       static_cast<float>(1.0 - dampening), static_cast<float>(rate));
  }
  ++state.steps;
}

double decayed_rate(double learning_rate, double decay, std::int64_t steps) {
  return learning_rate / (1.0 + static_cast<double>(steps) * decay);
}

AdamRate adam_rate(double rate, double beta1, std::int64_t n) {
  constexpr double epsilon = 1e-8;
  const auto steps = static_cast<double>(n);
  const double correction = std::sqrt(1.0 - std::pow(adam_beta2, steps));
  return {static_cast<float>(rate * correction / (1.0 - std::pow(beta1, steps))),
          static_cast<float>(epsilon * correction)};
}

void adam_step(std::span<float> weights, std::span<const float> gradient, double rate, double beta1,
               OptimiserState& state) {
  check_sizes(weights, gradient, state.square, state.steps);
  if (state.steps == 0) {
    state.velocity.assign(weights.size(), 0.0f);
    state.square.assign(weights.size(), 0.0f);
  }
  ++state.steps;
  const auto [step, floor] = adam_rate(rate, beta1, state.steps);
  move_by_adam(weights.data(), state.velocity.data(), state.square.data(), gradient.data(), weights.size(),
               {static_cast<float>(beta1), static_cast<float>(1.0 - beta1), static_cast<float>(adam_beta2),
                static_cast<float>(1.0 - adam_beta2), step, floor});
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
  // Partial sums: one chain of additions would take as long as a small layer.
  std::array<double, partial_sums> sums{};
  const std::size_t blocks = values.size() / partial_sums;
  add_squares(values.data(), blocks, sums.data());
  double sum = 0.0;
  for (const double s : sums) sum += s;
  for (const float x : values.subspan(blocks * partial_sums)) sum += static_cast<double>(x) * static_cast<double>(x);
  return sum;
}

}  // namespace perfpipe
