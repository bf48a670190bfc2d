#include "core/logarithm.hpp"

#include "core/random.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// |positive_log(x) - ln x| in units of the last place of ln x.
double error_in_ulps(double x) {
  const long double truth = std::log(static_cast<long double>(x));
  const double nearest = std::abs(static_cast<double>(truth));
  const double ulp = std::nextafter(nearest, std::numeric_limits<double>::infinity()) - nearest;
  return static_cast<double>(std::abs(static_cast<long double>(positive_log(x)) - truth)) / ulp;
}

TEST(PositiveLog, IsWithinOneUlp) {
  Random random(1, "logarithm");
  double worst = 0.0;
  for (int i = 0; i < 200000; ++i)
    worst =
        std::max(worst, error_in_ulps(std::ldexp(random.uniform(1.0, 2.0), static_cast<int>(random.below(278)) - 150)));
  for (int i = 0; i < 200000; ++i) worst = std::max(worst, error_in_ulps(random.uniform(0.5, 2.0)));
  EXPECT_LT(worst, 1.0);
  EXPECT_GT(worst, 0.3) << "the yardstick must be able to see an error";
}

TEST(PositiveLog, IsExactWhereItCanBe) {
  EXPECT_EQ(positive_log(1.0), 0.0);
  EXPECT_EQ(positive_log(std::numbers::e), 1.0);
  for (int k : {-149, -10, -1, 1, 10, 127}) EXPECT_EQ(positive_log(std::ldexp(1.0, k)), k * std::numbers::ln2) << k;
}

TEST(PositiveLog, GoesUpThroughTheEdgesOfItsPieces) {
  for (double edge : {0.5, std::numbers::sqrt2 / 2.0, 1.0, std::numbers::sqrt2, 2.0, 900.0})
    for (double below = edge, step = 0; step < 20; ++step) {
      below = std::nextafter(below, 0.0);
      EXPECT_LE(positive_log(below), positive_log(edge)) << edge;
    }
}

}  // namespace
}  // namespace perfpipe
