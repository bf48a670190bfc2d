#include "core/random.hpp"

#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(Random, IsPhilox4x32With10Rounds) {
  // Known answer for counter 0 and key 0 (Salmon et al., SC 2011).
  Random random(0, std::uint64_t{0});
  EXPECT_EQ(random.next_u32(), 0x6627e8d5u);
  EXPECT_EQ(random.next_u32(), 0xe169c58du);
  EXPECT_EQ(random.next_u32(), 0xbc57ac4cu);
  EXPECT_EQ(random.next_u32(), 0x9b00dbd8u);
}

TEST(Random, ASequenceDependsOnItsSeedAndStreamAlone) {
  Random a(7, "phantom/sub-01/noise"), b(7, "phantom/sub-01/noise");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next_u64(), b.next_u64());
  std::set<std::uint64_t> firsts;
  for (std::uint64_t seed : {0u, 1u, 7u})
    for (const char* stream : {"a", "b", "phantom/sub-01/noise", "phantom/sub-02/noise"})
      firsts.insert(Random(seed, stream).next_u64());
  EXPECT_EQ(firsts.size(), 12u) << "other seeds and streams give other numbers";
  EXPECT_NE(Random(0x100000000, std::uint64_t{1}).next_u64(), Random(0, std::uint64_t{1}).next_u64()) << "all 64 bits";
}

TEST(Random, UniformNumbersFillTheirInterval) {
  Random random(1, "uniform");
  constexpr int n = 20000;
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  // SD of the mean is sqrt(1/12/n) = 0.002; 5 SD. The mean of squares has SD 0.0021.
  EXPECT_NEAR(sum / n, 0.5, 0.0102);
  EXPECT_NEAR(squares / n, 1.0 / 3.0, 0.0106);
  for (int i = 0; i < 100; ++i) {
    const double x = random.uniform(-3.0, -2.0);
    EXPECT_GE(x, -3.0);
    EXPECT_LT(x, -2.0);
  }
}

TEST(Random, NormalNumbersHaveMomentsOfANormalDistribution) {
  Random random(2, "normal");
  constexpr int n = 20000;
  double moment[5] = {};
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    ASSERT_TRUE(std::isfinite(x));
    for (int k = 1; k < 5; ++k) moment[k] += std::pow(x, k) / n;
  }
  // SDs of the sample moments: sqrt(1/n), sqrt(2/n), sqrt(15/n), sqrt(96/n); 5 of each.
  EXPECT_NEAR(moment[1], 0.0, 5 * std::sqrt(1.0 / n));
  EXPECT_NEAR(moment[2], 1.0, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(moment[3], 0.0, 5 * std::sqrt(15.0 / n));
  EXPECT_NEAR(moment[4], 3.0, 5 * std::sqrt(96.0 / n));
}

TEST(Random, BelowIsEvenAndStaysBelow) {
  Random random(3, "below");
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 7000; ++i) {
    const auto x = random.below(7);
    ASSERT_LT(x, 7u);
    ++counts[x];
  }
  for (int count : counts) EXPECT_NEAR(count, 1000, 5 * std::sqrt(1000.0 * 6 / 7));
  EXPECT_EQ(random.below(1), 0u);
  const std::uint64_t large = (std::uint64_t{1} << 63) + 1;  // a modulo alone would favour small numbers twofold here
  int low = 0;
  for (int i = 0; i < 1000; ++i) low += random.below(large) < large / 2;
  EXPECT_NEAR(low, 500, 5 * std::sqrt(250.0));
}

}  // namespace
}  // namespace perfpipe
