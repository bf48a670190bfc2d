#include "model/optimiser.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(TorchSgd, FollowsATraceCalculatedByHand) {
  // f(w) = w^2 from w = 1, rate 0.5, momentum 0.5, dampening 0.5, decay 1: all values are exact in binary.
  // step 0: g = 2,    v = 2 (the gradient itself),        rate 1/2, w = 1 - 1 = 0
  // step 1: g = 0,    v = 0.5 * 2 + 0.5 * 0 = 1,          rate 1/4, w = 0 - 0.25 = -0.25
  // step 2: g = -0.5, v = 0.5 * 1 - 0.5 * 0.5 = 0.25,     rate 1/6
  OptimiserState state;
  std::vector<float> w{1.0f};
  const auto step = [&] {
    const double rate = decayed_rate(0.5, 1.0, state.steps);
    sgd_step(w, std::vector<float>{2.0f * w[0]}, rate, 0.5, 0.5, state);
    return rate;
  };
  EXPECT_EQ(step(), 0.5);
  EXPECT_EQ(w[0], 0.0f);
  EXPECT_EQ(step(), 0.25);
  EXPECT_EQ(w[0], -0.25f);
  EXPECT_EQ(step(), 0.5 / 3.0);
  EXPECT_FLOAT_EQ(w[0], -0.25f - 0.25f / 6.0f);
}

TEST(TorchSgd, AgreesWithDoublePrecision) {
  // The closed form of the velocity, summed anew at each step in double precision; the quadratic's curvatures span 0.1
  // to 10.
  constexpr std::size_t n = 50;
  constexpr double momentum = 0.9;
  constexpr double dampening = 0.9;
  constexpr double decay = 1e-3;
  Random random(1, "sgd");
  std::vector<float> w(n);
  std::vector<double> exact(n);
  std::vector<double> curvature(n);
  for (std::size_t i = 0; i < n; ++i) {
    exact[i] = w[i] = static_cast<float>(random.uniform(-1.0, 1.0));
    curvature[i] = std::pow(10.0, random.uniform(-1.0, 1.0));
  }
  OptimiserState state;
  std::vector<std::vector<double>> gradients;
  for (int step = 0; step < 100; ++step) {
    std::vector<float> g(n);
    gradients.emplace_back(n);
    for (std::size_t i = 0; i < n; ++i) {
      g[i] = static_cast<float>(curvature[i]) * w[i];
      gradients.back()[i] = curvature[i] * exact[i];
    }
    sgd_step(w, g, decayed_rate(0.05, decay, state.steps), momentum, dampening, state);
    for (std::size_t i = 0; i < n; ++i) {
      double velocity = std::pow(momentum, step) * gradients[0][i];
      for (int k = 1; k <= step; ++k)
        velocity += (1.0 - dampening) * std::pow(momentum, step - k) * gradients[static_cast<std::size_t>(k)][i];
      exact[i] -= 0.05 / (1.0 + step * decay) * velocity;
    }
  }
  // 100 steps of float rounding (6e-8 each) on values up to 1.
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(w[i], exact[i], 1e-5);
}

TEST(TorchSgd, RefusesSizesThatChange) {
  OptimiserState state;
  std::vector<float> w(3), other(4);
  const std::vector<float> three(3), four(4);
  EXPECT_THROW(sgd_step(w, four, 0.1, 0.9, 0.9, state), std::invalid_argument);
  sgd_step(w, three, 0.1, 0.9, 0.9, state);
  EXPECT_THROW(sgd_step(other, four, 0.1, 0.9, 0.9, state), std::invalid_argument);
  EXPECT_THROW(adam_step(w, three, 0.1, 0.9, state), std::invalid_argument) << "a state of the other optimiser";
}

TEST(Adam, AgreesWithDoublePrecision) {
  // The paper's algorithm (Kingma and Ba, algorithm 1) in double precision on a quadratic.
  constexpr std::size_t n = 50;
  Random random(2, "adam");
  std::vector<float> w(n);
  std::vector<double> exact(n), curvature(n), m(n, 0.0), v(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    exact[i] = w[i] = static_cast<float>(random.uniform(-1.0, 1.0));
    curvature[i] = std::pow(10.0, random.uniform(-1.0, 1.0));
  }
  OptimiserState state;
  for (int step = 1; step <= 100; ++step) {
    std::vector<float> g(n);
    for (std::size_t i = 0; i < n; ++i) g[i] = static_cast<float>(curvature[i]) * w[i];
    adam_step(w, g, 0.01, 0.9, state);
    for (std::size_t i = 0; i < n; ++i) {
      const double gradient = curvature[i] * exact[i];
      m[i] = 0.9 * m[i] + 0.1 * gradient;
      v[i] = 0.999 * v[i] + 0.001 * gradient * gradient;
      exact[i] -=
          0.01 * (m[i] / (1.0 - std::pow(0.9, step))) / (std::sqrt(v[i] / (1.0 - std::pow(0.999, step))) + 1e-8);
    }
  }
  EXPECT_EQ(state.steps, 100);
  // 100 steps of float rounding; near the minimum the quotient of two small means amplifies it.
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(w[i], exact[i], 1e-4);
}

std::vector<double> multipliers(PlateauRule rule, const std::vector<double>& errors) {
  std::vector<double> found;
  for (const double e : errors) {
    rule.epoch_done(e);
    found.push_back(rule.multiplier());
  }
  return found;
}

TEST(PlateauRule, DividesTheRateWhenTheErrorStopsImproving) {
  // 9 improves on 10; 9.5 does not: lower. The best starts anew: 9.4 is the first of its rate, 9.4 again is no
  // improvement.
  EXPECT_EQ(multipliers({0.5, 3, 1}, {10, 9, 9.5, 9.4, 9.4, 9.3, 9.2}),
            (std::vector<double>{1, 1, 0.5, 0.5, 0.25, 0.25, 0.25}));
}

TEST(PlateauRule, WaitsForItsPatience) {
  EXPECT_EQ(multipliers({0.5, 3, 2}, {5, 6, 4, 6, 4, 1}), (std::vector<double>{1, 1, 1, 1, 0.5, 0.5}));
}

TEST(PlateauRule, ActsAtMostItsNumberOfTimes) {
  EXPECT_EQ(multipliers({0.5, 2, 1}, {1, 1, 1, 1, 1, 1, 1, 1}),
            (std::vector<double>{1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25}));
  EXPECT_EQ(multipliers({0.5, 0, 1}, {1, 2, 3}), (std::vector<double>{1, 1, 1}));
}

TEST(EpochOrder, IsAnotherPermutationInEachEpochOfEachStream) {
  const auto order = epoch_order(1000, 1, "fold", 1);
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], i);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(epoch_order(1000, 1, "fold", 1), order);
  EXPECT_NE(epoch_order(1000, 1, "fold", 2), order);
  EXPECT_NE(epoch_order(1000, 1, "other", 1), order);
  EXPECT_NE(epoch_order(1000, 2, "fold", 1), order);
}

TEST(EpochOrder, IsEvenOverThePlaces) {
  // The place of sample 0 among 10 in 20,000 epochs: chi-square with 9 degrees of freedom, 99.99 % quantile 33.7.
  std::vector<int> counts(10);
  for (int epoch = 1; epoch <= 20000; ++epoch) {
    const auto order = epoch_order(10, 1, "fold", epoch);
    ++counts[static_cast<std::size_t>(std::find(order.begin(), order.end(), 0u) - order.begin())];
  }
  double chi_square = 0.0;
  for (const int c : counts) chi_square += (c - 2000.0) * (c - 2000.0) / 2000.0;
  EXPECT_LT(chi_square, 33.7);
}

TEST(SquaredNorm, SumsInDoublePrecision) {
  const std::vector<float> values(100003, 0.1f);
  const double x = 0.1f;
  EXPECT_NEAR(squared_norm(values), 100003 * x * x, 1e-9);
  EXPECT_TRUE(std::isfinite(squared_norm(std::vector<float>(10, 3e38f))));
}

}  // namespace
}  // namespace perfpipe
