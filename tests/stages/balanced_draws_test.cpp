#include "stages/balanced_draws.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(ClassEdges, CutTheRangeInEqualWidths) {
  const ClassEdges edges{11.0, 10};
  ASSERT_EQ(edges.edges().size(), 11u);
  EXPECT_DOUBLE_EQ(edges.edges()[1], 1.1);
  EXPECT_DOUBLE_EQ(edges.edges()[10], 11.0);
  EXPECT_EQ(edges.class_of(0.0), 0);
  EXPECT_EQ(edges.class_of(1.0), 0) << "whole seconds 0 and 1 share a class";
  EXPECT_EQ(edges.class_of(2.0), 1);
  EXPECT_EQ(edges.class_of(10.0), 9) << "as do 10 and 11";
  EXPECT_EQ(edges.class_of(11.0), 9);
}

TEST(ClassEdges, WhatLiesOutsideJoinsTheEnds) {
  const ClassEdges edges{4.0, 4};
  EXPECT_EQ(edges.class_of(-7.0), 0);
  EXPECT_EQ(edges.class_of(4.1), 3);
  EXPECT_EQ(edges.class_of(1e300), 3);
  EXPECT_EQ(edges.class_of(static_cast<double>(NAN)), 0);
}

std::int64_t total_of(const std::vector<ClassDraw>& draws) {
  return std::accumulate(draws.begin(), draws.end(), std::int64_t{0}, [](std::int64_t sum, const auto& d) {
    return sum + static_cast<std::int64_t>(d.ordinals.size());
  });
}

TEST(DrawBalanced, GivesEachFilledClassItsShare) {
  Random random(1, "draws");
  const auto draws = draw_balanced({1000, 0, 400, 50}, 100, random);
  EXPECT_EQ(draws[0].ordinals.size(), 34u) << "the first takes the remainder";
  EXPECT_TRUE(draws[1].ordinals.empty());
  EXPECT_EQ(draws[2].ordinals.size(), 33u);
  EXPECT_EQ(draws[3].ordinals.size(), 33u);
  EXPECT_EQ(total_of(draws), 100);
  for (const auto& draw : draws) {
    EXPECT_FALSE(draw.with_replacement);
    EXPECT_TRUE(std::is_sorted(draw.ordinals.begin(), draw.ordinals.end()));
    EXPECT_EQ(std::adjacent_find(draw.ordinals.begin(), draw.ordinals.end()), draw.ordinals.end()) << "nobody twice";
  }
  EXPECT_LT(draws[3].ordinals.back(), 50);
}

TEST(DrawBalanced, AShortClassIsDrawnWithReplacementAndSaysSo) {
  Random random(2, "draws");
  const auto draws = draw_balanced({1000, 3}, 100, random);
  EXPECT_TRUE(draws[1].with_replacement);
  EXPECT_EQ(draws[1].ordinals.size(), 50u);
  for (const auto ordinal : {0, 1, 2})
    EXPECT_GT(std::count(draws[1].ordinals.begin(), draws[1].ordinals.end(), ordinal), 0);
  EXPECT_EQ(draws[1].ordinals.back(), 2);
  const auto exact = draw_balanced({5, 5}, 10, random);
  EXPECT_FALSE(exact[0].with_replacement);
  EXPECT_EQ(exact[0].ordinals, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST(DrawBalanced, EveryMemberIsAsLikely) {
  Random random(3, "draws");
  std::vector<int> counts(10, 0);
  for (int round = 0; round < 2000; ++round) {
    const auto draws = draw_balanced({10}, 4, random);
    for (auto ordinal : draws[0].ordinals) ++counts[static_cast<std::size_t>(ordinal)];
  }
  // 800 each; SD sqrt(2000 · 0.4 · 0.6) = 22.
  for (int count : counts) EXPECT_NEAR(count, 800, 110);
}

TEST(DrawBalanced, DependsOnTheSeedAlone) {
  Random a(4, "draws"), b(4, "draws"), c(5, "draws");
  const std::vector<std::int64_t> members{300, 20, 7};
  const auto first = draw_balanced(members, 60, a), second = draw_balanced(members, 60, b),
             other = draw_balanced(members, 60, c);
  for (std::size_t i = 0; i < members.size(); ++i) EXPECT_EQ(first[i].ordinals, second[i].ordinals);
  EXPECT_NE(first[0].ordinals, other[0].ordinals);
}

TEST(DrawBalanced, NothingToDrawFromGivesNothing) {
  Random random(6, "draws");
  EXPECT_EQ(total_of(draw_balanced({0, 0}, 10, random)), 0);
  EXPECT_EQ(total_of(draw_balanced({}, 10, random)), 0);
  EXPECT_EQ(total_of(draw_balanced({5, 5, 5}, 2, random)), 2) << "fewer samples than classes";
}

}  // namespace
}  // namespace perfpipe
