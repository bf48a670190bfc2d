#include "model/gradient_sum.hpp"

#include "core/arrays.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::size_t size = 1003;  // not a multiple of any register

std::vector<float> random_shards(std::size_t count) {
  Random random(3, "shards");
  std::vector<float> values(count * size);
  for (float& x : values) x = static_cast<float>(random.normal() * std::pow(10.0, random.uniform(-6.0, 2.0)));
  return values;
}

std::vector<float> sum_of(const std::vector<float>& shards, double largest) {
  std::vector<float> total(size);
  GradientSum().sum(shards, largest, nullptr, total);
  return total;
}

TEST(GradientSum, IsTheSumToFloatPrecision) {
  const auto shards = random_shards(4);
  const auto total = sum_of(shards, largest_magnitude(shards));
  const double step = largest_magnitude(shards) * std::pow(2.0, -47);
  for (std::size_t i = 0; i < size; ++i) {
    double exact = 0.0;
    for (std::size_t s = 0; s < 4; ++s) exact += shards[s * size + i];
    // Rounding to float once, and each shard to the fixed point.
    EXPECT_NEAR(total[i], exact, std::abs(exact) * 6e-8 + 4.0 * step) << i;
  }
}

TEST(GradientSum, HasTheSameBitsInAnyOrder) {
  const auto shards = random_shards(4);
  const double largest = largest_magnitude(shards);
  const auto first = sum_of(shards, largest);
  std::vector<std::size_t> order{0, 1, 2, 3};
  while (std::next_permutation(order.begin(), order.end())) {
    std::vector<float> other;
    for (const auto s : order)
      other.insert(other.end(), shards.begin() + static_cast<std::ptrdiff_t>(s * size),
                   shards.begin() + static_cast<std::ptrdiff_t>((s + 1) * size));
    EXPECT_EQ(sum_of(other, largest), first);
  }
}

TEST(GradientSum, HoldsTheLargestAndTheSmallestScales) {
  for (const double scale : {1e-38, 1e-20, 1.0, 3e37}) {
    const std::vector<float> shards(4 * size, static_cast<float>(scale));
    const auto total = sum_of(shards, largest_magnitude(shards));
    EXPECT_FLOAT_EQ(total[0], static_cast<float>(4.0 * scale)) << scale;
  }
  EXPECT_EQ(sum_of(std::vector<float>(2 * size, 0.0f), 0.0), std::vector<float>(size, 0.0f));
}

TEST(LargestMagnitude, SeesSignsAndWhatIsNotFinite) {
  std::vector<float> values(37, 0.5f);
  EXPECT_EQ(largest_magnitude(values), 0.5);
  values[36] = -2.0f;
  EXPECT_EQ(largest_magnitude(values), 2.0);
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    values[11] = bad;
    EXPECT_TRUE(std::isinf(largest_magnitude(values)));
  }
}

}  // namespace
}  // namespace perfpipe
