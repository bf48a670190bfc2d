#include "model/sgd.hpp"

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
  TorchSgd sgd(0.5, 0.5, 1.0);
  std::vector<float> w{1.0f};
  const auto step = [&] { return sgd.step(w, std::vector<float>{2.0f * w[0]}, 0.5); };
  EXPECT_EQ(step(), 0.5);
  EXPECT_EQ(w[0], 0.0f);
  EXPECT_EQ(step(), 0.25);
  EXPECT_EQ(w[0], -0.25f);
  EXPECT_EQ(sgd.rate(0.5), 0.5 / 3.0);
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
  TorchSgd sgd(momentum, dampening, decay);
  std::vector<std::vector<double>> gradients;
  for (int step = 0; step < 100; ++step) {
    std::vector<float> g(n);
    gradients.emplace_back(n);
    for (std::size_t i = 0; i < n; ++i) {
      g[i] = static_cast<float>(curvature[i]) * w[i];
      gradients.back()[i] = curvature[i] * exact[i];
    }
    sgd.step(w, g, 0.05);
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
  TorchSgd sgd(0.9, 0.9, 0.0);
  std::vector<float> w(3);
  EXPECT_THROW(sgd.step(w, std::vector<float>(2), 0.1), std::invalid_argument);
  sgd.step(w, std::vector<float>(3), 0.1);
  std::vector<float> other(4);
  EXPECT_THROW(sgd.step(other, std::vector<float>(4), 0.1), std::invalid_argument);
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
