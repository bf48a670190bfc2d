#include "stages/largest_curves.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// Meets curves of two samples, the area and the voxel, in the order of these areas.
Candidates largest_of(const std::vector<float>& areas, std::size_t count) {
  LargestCurves largest(count, 2);
  for (std::size_t v = 0; v < areas.size(); ++v) {
    const std::vector<float> curve{areas[v], static_cast<float>(v)};
    largest.meet(static_cast<std::int64_t>(v), curve, areas[v]);
  }
  return largest.take();
}

void expect_the_largest(const std::vector<float>& areas, std::size_t count) {
  auto sorted = areas;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  std::vector<std::int64_t> where;
  std::vector<float> curves;
  for (std::size_t v = 0; v < areas.size(); ++v)
    if (areas[v] >= sorted.at(count - 1) && areas[v] > 0.0f) {
      where.push_back(static_cast<std::int64_t>(v));
      curves.insert(curves.end(), {areas[v], static_cast<float>(v)});
    }
  const auto found = largest_of(areas, count);
  EXPECT_EQ(found.where, where);
  EXPECT_EQ(found.curves, curves);
}

TEST(LargestCurves, AreThoseThatSortingFinds) {
  Random random(1, "areas");
  std::vector<float> areas;
  for (int i = 0; i < 5000; ++i) areas.push_back(static_cast<float>(random.normal()));
  for (const std::size_t count : {1u, 2u, 9u, 500u, 2400u, 4000u}) expect_the_largest(areas, count);
  std::sort(areas.begin(), areas.end());
  expect_the_largest(areas, 500);  // each is larger than all before
  std::reverse(areas.begin(), areas.end());
  expect_the_largest(areas, 500);
}

TEST(LargestCurves, EqualOnesStayTogether) {
  std::vector<float> areas;
  for (int i = 0; i < 1000; ++i) areas.push_back(static_cast<float>(1 + i % 4));
  expect_the_largest(areas, 10);   // 250 have the largest area
  expect_the_largest(areas, 300);  // and 500 one of the two largest
}

TEST(LargestCurves, AnAreaOfNothingIsNone) {
  EXPECT_TRUE(largest_of({0.0f, -1.0f, std::nanf("")}, 2).where.empty());
  EXPECT_TRUE(largest_of({}, 0).where.empty());
  EXPECT_EQ(largest_of({0.0f, 3.0f, 2.0f}, 0).where, std::vector<std::int64_t>{1}) << "at least one";
}

}  // namespace
}  // namespace perfpipe
