#include "stages/brain_mask.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Mask = std::vector<std::uint8_t>;

/// Rows of '.' and '#', slices one after the other.
Mask drawn(const std::string& picture) {
  Mask mask;
  for (char c : picture)
    if (c == '.' || c == '#') mask.push_back(c == '#');
  return mask;
}

TEST(Otsu, LiesBetweenTwoModes) {
  Random random(1, "otsu");
  std::vector<float> image;
  for (int i = 0; i < 3000; ++i) image.push_back(static_cast<float>(50.0 + 10.0 * random.normal()));
  for (int i = 0; i < 1000; ++i) image.push_back(static_cast<float>(500.0 + 40.0 * random.normal()));
  const float threshold = otsu_threshold(image);
  EXPECT_EQ(std::count_if(image.begin(), image.end(), [&](float v) { return v > threshold; }), 1000);
  image.push_back(std::numeric_limits<float>::quiet_NaN());
  image.push_back(std::numeric_limits<float>::infinity());
  EXPECT_EQ(otsu_threshold(image), threshold) << "what is not finite does not count";
}

TEST(Otsu, SeparatesTwoValuesWhateverTheirNumbers) {
  for (const int few : {1, 10, 90}) {
    std::vector<float> image(100, -3.0f);
    std::fill_n(image.begin(), few, 8.0f);
    const float threshold = otsu_threshold(image);
    EXPECT_GT(threshold, -3.0f);
    EXPECT_LT(threshold, 8.0f);
  }
}

TEST(Otsu, AConstantImageIsNotAboveItsThreshold) {
  EXPECT_EQ(otsu_threshold(std::vector<float>(20, 7.0f)), 7.0f);
  EXPECT_FALSE(std::isfinite(otsu_threshold(std::vector<float>(3, std::numeric_limits<float>::quiet_NaN()))));
}

TEST(LargestComponent, KeepsOneAndTheFirstOfEquals) {
  auto mask = drawn(
      "##..#"
      "....#"
      "#...#");
  keep_largest_component(mask, {1, 3, 5});
  EXPECT_EQ(mask, drawn("....#"
                        "....#"
                        "....#"));
  mask = drawn("##.##");
  keep_largest_component(mask, {1, 1, 5});
  EXPECT_EQ(mask, drawn("##..."));
  mask = drawn(".....");
  keep_largest_component(mask, {1, 1, 5});
  EXPECT_EQ(mask, drawn("....."));
}

TEST(LargestComponent, NeighboursShareAFaceAcrossSlicesToo) {
  // Two slices: the left column hangs together through z; the diagonal on the right does not.
  auto mask = drawn(
      "#..#"
      "#.#."
      "#..."
      "#..#");
  keep_largest_component(mask, {2, 2, 4});
  EXPECT_EQ(mask, drawn("#..."
                        "#..."
                        "#..."
                        "#..."));
  // The end of a row is no neighbour of the next row's start.
  mask = drawn(
      "..##"
      "#...");
  keep_largest_component(mask, {1, 2, 4});
  EXPECT_EQ(mask, drawn("..##"
                        "...."));
}

TEST(FillHoles, FillsWhatTheBorderOfTheSliceDoesNotReach) {
  auto mask = drawn(
      "######"
      "#..#.."
      "#.##.#"
      "######");
  fill_holes(mask, {1, 4, 6});
  EXPECT_EQ(mask, drawn("######"
                        "####.."
                        "####.#"
                        "######"));
  // Each slice alone: what is open above and below is a hole in its own slice all the same.
  mask = drawn(
      "....."
      ".###."
      ".#.#."
      ".###."
      "....."
      "....."
      "....."
      "....."
      "....."
      ".....");
  fill_holes(mask, {2, 5, 5});
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 1), 9);
}

TEST(FillHoles, ADiagonalGapIsClosed) {
  auto mask = drawn(
      ".##."
      "#..#"
      ".##.");
  fill_holes(mask, {1, 3, 4});
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 1), 8);
}

TEST(ComputeBrainMask, FindsTheHeadInOneMode) {
  // A bright ball with a dark hole (a vessel) in dark noise, and a bright speck outside.
  const Extent extent{5, 20, 20};
  Random random(2, "head");
  std::vector<float> image(5 * 20 * 20);
  Mask expected(image.size());
  for (std::int64_t v = 0; v < static_cast<std::int64_t>(image.size()); ++v) {
    const double x = static_cast<double>(v % 20) - 9.5, y = static_cast<double>(v / 20 % 20) - 9.5;
    const auto i = static_cast<std::size_t>(v);
    expected[i] = x * x + y * y < 49.0;
    const bool hole = std::abs(x) < 1.0 && std::abs(y) < 1.0;
    const bool speck = x < -9.0 && y < -9.0;
    image[i] = static_cast<float>((expected[i] != 0 && !hole) || speck ? 1000.0 + 80.0 * random.normal()
                                                                       : 30.0 + 15.0 * random.normal());
  }
  EXPECT_EQ(compute_brain_mask(image, extent, false), expected);
}

TEST(ComputeBrainMask, OfCtIsSoftTissue) {
  const Extent extent{1, 3, 6};
  const std::vector<float> hu{-1000, -1000, 700, 700,  -1000, -1000,  //
                              -1000, 5,     35,  90,   91,    -1000,  //
                              -1000, 4,     40,  1200, 60,    -1000};
  EXPECT_EQ(compute_brain_mask(hu, extent, true), drawn("......"
                                                        ".###.."
                                                        "..#..."));
}

}  // namespace
}  // namespace perfpipe
