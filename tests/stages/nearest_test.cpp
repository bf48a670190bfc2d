#include "stages/nearest.hpp"

#include "core/random.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(NearestCurves, FindTheTargetOfTheLeastDistance) {
  const NearestCurves known({0, 0, 1, 0, 0, 3}, {10, 20, 30}, 2);
  EXPECT_EQ(known.nearest_targets(std::vector<float>{0.1f, 0.1f, 2, 0, 0, 9}), (std::vector<float>{10, 20, 30}));
  EXPECT_EQ(known.nearest_targets(std::vector<float>{0.5f, 0}), std::vector<float>{10}) << "the first of equals";
  EXPECT_TRUE(known.nearest_targets({}).empty());
}

TEST(NearestCurves, AgreeWithASearchInDoublePrecision) {
  constexpr std::int64_t samples = 70;
  Random random(1, "nearest");
  const auto curves_of = [&](int n) {
    std::vector<float> curves;
    for (int i = 0; i < n * samples; ++i) curves.push_back(static_cast<float>(random.uniform()));
    return curves;
  };
  const auto curves = curves_of(200), queries = curves_of(50);
  std::vector<float> targets;
  for (int i = 0; i < 200; ++i) targets.push_back(static_cast<float>(i));
  const auto found = NearestCurves(curves, targets, samples).nearest_targets(queries);
  ASSERT_EQ(found.size(), 50u);
  for (std::size_t q = 0; q < found.size(); ++q) {
    const auto distance = [&](std::size_t i) {
      double sum = 0.0;
      for (std::size_t t = 0; t < samples; ++t) {
        const double gap = static_cast<double>(curves[i * samples + t]) - queries[q * samples + t];
        sum += gap * gap;
      }
      return sum;
    };
    double least = distance(0);
    for (std::size_t i = 1; i < targets.size(); ++i) least = std::min(least, distance(i));
    // Squares sum to some 25: float32's rounding of the product form is some 1e-5.
    EXPECT_NEAR(distance(static_cast<std::size_t>(found[q])), least, 1e-4) << q;
  }
}

TEST(NearestCurves, OfEqualsTheFirstIsTakenWhereverItStands) {
  for (const std::size_t n : {1u, 15u, 16u, 17u, 37u, 64u})
    for (std::size_t first = 0; first < n; ++first) {
      // All far away but `first`, and what comes seven places after it.
      std::vector<float> curves(2 * n, 8.0f), targets(n);
      for (std::size_t i = 0; i < n; ++i) targets[i] = static_cast<float>(i);
      for (std::size_t i = first; i < n; i += 7) curves[2 * i] = curves[2 * i + 1] = 1.0f;
      const std::vector<float> query{1.0f, 1.0f};
      EXPECT_EQ(NearestCurves(curves, targets, 2).nearest_targets(query), std::vector<float>{static_cast<float>(first)})
          << n;
    }
}

TEST(NearestCurves, SizesThatDoNotFitAreErrors) {
  EXPECT_THROW(NearestCurves({1, 2, 3}, {1}, 2), std::invalid_argument);
  EXPECT_THROW(NearestCurves({}, {}, 2), std::invalid_argument);
  EXPECT_THROW(NearestCurves({1, 2}, {1}, 2).nearest_targets(std::vector<float>{1}), std::invalid_argument);
}

}  // namespace
}  // namespace perfpipe
