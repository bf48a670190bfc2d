#include "stages/statistics.hpp"

#include "core/random.hpp"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

struct Sample {
  std::vector<double> estimate, reference;
};

Sample correlated(std::size_t n, double level) {
  Random random(1, "statistics");
  Sample s;
  for (std::size_t i = 0; i < n; ++i) {
    s.reference.push_back(level + 20.0 * random.normal());
    s.estimate.push_back(0.8 * s.reference.back() + 5.0 + 6.0 * random.normal());
  }
  return s;
}

double mean(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

/// Mean of (a - mean a)(b - mean b).
double covariance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean(a)) * (b[i] - mean(b));
  return sum / static_cast<double>(a.size());
}

TEST(Agreement, IsWhatTheFormulaeSay) {
  for (const double level : {50.0, 1600.0}) {
    const auto s = correlated(500, level);
    const double n = 500.0;
    Agreement agreement;
    std::vector<double> difference;
    double squares = 0.0, from_constant = 0.0;
    for (std::size_t i = 0; i < s.estimate.size(); ++i) {
      agreement.add(s.estimate[i], s.reference[i]);
      difference.push_back(s.estimate[i] - s.reference[i]);
      squares += difference.back() * difference.back();
      from_constant += (s.reference[i] - 40.0) * (s.reference[i] - 40.0);
    }
    // Double precision over 500 terms: 1e-9 relative leaves room.
    const auto near = [](double found, double expected) { EXPECT_NEAR(found, expected, 1e-9 * std::abs(expected)); };
    EXPECT_EQ(agreement.count(), 500);
    near(agreement.rmse(), std::sqrt(squares / n));
    near(agreement.bias(), mean(difference));
    near(agreement.sd_of_differences(), std::sqrt(covariance(difference, difference) * n / (n - 1.0)));
    near(agreement.mean_reference(), mean(s.reference));
    near(agreement.sd_of_reference(), std::sqrt(covariance(s.reference, s.reference)));
    const double ee = covariance(s.estimate, s.estimate), rr = covariance(s.reference, s.reference),
                 er = covariance(s.estimate, s.reference);
    near(agreement.correlation(), er / std::sqrt(ee * rr));
    near(agreement.concordance(), 2.0 * er / (ee + rr + std::pow(mean(s.estimate) - mean(s.reference), 2)));
    near(agreement.rmse_of_constant(40.0), std::sqrt(from_constant / n));
  }
}

TEST(Agreement, OfEqualMapsIsPerfect) {
  Agreement agreement;
  for (double x : {1.0, 5.0, 2.0}) agreement.add(x, x);
  EXPECT_EQ(agreement.rmse(), 0.0);
  EXPECT_EQ(agreement.bias(), 0.0);
  EXPECT_EQ(agreement.sd_of_differences(), 0.0);
  EXPECT_NEAR(agreement.correlation(), 1.0, 1e-15);
  EXPECT_NEAR(agreement.concordance(), 1.0, 1e-15);
}

TEST(Agreement, AConstantShiftSparesTheCorrelationAndNotTheConcordance) {
  Agreement agreement;
  for (double x : {1.0, 2.0, 3.0}) agreement.add(x + 2.0, x);
  EXPECT_NEAR(agreement.correlation(), 1.0, 1e-12);
  EXPECT_NEAR(agreement.concordance(), (2.0 * 2.0 / 3.0) / (4.0 / 3.0 + 4.0), 1e-12);
  EXPECT_NEAR(agreement.rmse(), 2.0, 1e-12);
  EXPECT_NEAR(agreement.sd_of_differences(), 0.0, 1e-7);
}

TEST(Agreement, DividesByNothing) {
  Agreement none, one, flat;
  one.add(3.0, 1.0);
  for (double x : {1.0, 2.0}) flat.add(x, 5.0);
  for (const Agreement* a : {&none, &one, &flat})
    for (double x : {a->rmse(), a->bias(), a->sd_of_differences(), a->sd_of_reference(), a->mean_reference(),
                     a->correlation(), a->concordance(), a->rmse_of_constant(1.0)})
      EXPECT_TRUE(std::isfinite(x));
  EXPECT_EQ(none.rmse(), 0.0);
  EXPECT_EQ(one.rmse(), 2.0);
  EXPECT_EQ(flat.correlation(), 0.0) << "one side is constant";
}

TEST(Overlap, IsTheDiceCoefficient) {
  Overlap overlap;
  const bool a[] = {true, true, true, false, false}, b[] = {true, true, false, true, false};
  for (int i = 0; i < 5; ++i) overlap.add(a[i], b[i]);
  EXPECT_EQ(overlap.a, 3);
  EXPECT_EQ(overlap.b, 3);
  EXPECT_EQ(overlap.both, 2);
  EXPECT_DOUBLE_EQ(overlap.dice(), 2.0 * 2.0 / 6.0);
  EXPECT_FALSE(overlap.both_empty());
}

TEST(Overlap, OfTwoEmptyMasksIsOneAndFlagged) {
  Overlap overlap;
  overlap.add(false, false);
  EXPECT_TRUE(overlap.both_empty());
  EXPECT_EQ(overlap.dice(), 1.0);
  overlap.add(true, false);
  EXPECT_FALSE(overlap.both_empty());
  EXPECT_EQ(overlap.dice(), 0.0);
}

TEST(Histogram, PercentilesAreGoodToOneClass) {
  Histogram histogram(1000.0, 1000);
  for (int i = 1; i <= 1000; ++i) histogram.add(i - 0.5);
  EXPECT_EQ(histogram.count(), 1000);
  for (const double percent : {1.0, 50.0, 99.0, 99.9, 100.0})
    EXPECT_NEAR(histogram.percentile(percent), 10.0 * percent, 1.0);
  EXPECT_NEAR(histogram.percentile(0.0), 0.0, 1.0);
}

TEST(Histogram, ValuesOutsideJoinTheEnds) {
  Histogram histogram(10.0, 10);
  for (const double value : {-5.0, 0.0, 10.0, 1e300, static_cast<double>(INFINITY)}) histogram.add(value);
  EXPECT_EQ(histogram.percentile(40.0), 1.0);
  EXPECT_EQ(histogram.percentile(41.0), 10.0);
  EXPECT_EQ(Histogram(10.0).percentile(50.0), 0.0) << "an empty one";
}

TEST(Histogram, SumsOfParts) {
  Histogram all(1.0, 100), left(1.0, 100), right(1.0, 100);
  for (int i = 0; i < 200; ++i) {
    all.add(i / 200.0);
    (i % 3 == 0 ? left : right).add(i / 200.0);
  }
  left.add(right);
  EXPECT_EQ(left.count(), 200);
  for (const double percent : {5.0, 50.0, 95.0}) EXPECT_EQ(left.percentile(percent), all.percentile(percent));
}

TEST(MeanSd, IsThatOfASample) {
  const auto result = mean_sd({2.0, 4.0, 4.0, 6.0});
  EXPECT_DOUBLE_EQ(result.mean, 4.0);
  EXPECT_DOUBLE_EQ(result.sd, std::sqrt(8.0 / 3.0));
  EXPECT_EQ(mean_sd({7.0}).sd, 0.0);
  EXPECT_EQ(mean_sd({}).mean, 0.0);
}

}  // namespace
}  // namespace perfpipe
