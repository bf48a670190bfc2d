#include "stages/brain_mask.hpp"

#include "core/random.hpp"
#include "stages/phantom_anatomy.hpp"

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
  EXPECT_EQ(compute_brain_mask(image, extent), expected);
}

/// A simulated head with skull, sutures, scalp, fat and table, with noise of `sd` HU in the mean image.
std::vector<float> simulated_ct(const PhantomOptions& options, double sd, Mask& brain) {
  const Head head = draw_head(options, 5, "sub-01");
  Random random(5, "ct");
  std::vector<float> hu;
  brain.clear();
  for (std::size_t i = 0; i < head.tissue.size(); ++i) {
    brain.push_back(head.tissue[i] != Tissue::air);
    hu.push_back(head.baseline[i] + static_cast<float>(sd * random.normal()));
  }
  return hu;
}

TEST(ComputeCtBrainMask, IsTheBrainAndNothingElseThatIsSoft) {
  PhantomOptions options;
  options.modality = "ct";
  for (const std::int64_t size : {48, 128})
    for (const double sd : {0.5, 4.0}) {
      options.size = {size, size, 6};
      Mask brain;
      const auto hu = simulated_ct(options, sd, brain);
      const auto mask = compute_ct_brain_mask(hu, {6, size, size}, 224.0 / static_cast<double>(size));
      double both = 0.0, sum = 0.0, beyond = 0.0;
      for (std::size_t i = 0; i < mask.size(); ++i) {
        both += mask[i] != 0 && brain[i] != 0;
        sum += mask[i] + brain[i];
        beyond += mask[i] != 0 && brain[i] == 0 && hu[i] > 45.0f + 5.0f * static_cast<float>(sd);  // muscle, bone
      }
      SCOPED_TRACE(testing::Message() << size << " voxels, noise " << sd << " HU");
      EXPECT_GT(2.0 * both / sum, 0.97);
      EXPECT_LT(beyond, 0.002 * sum);
    }
}

TEST(ComputeCtBrainMask, IsNotTheZerosOfADefacedImage) {
  // Brain in a skull in the middle, and 0 wherever the face was: more voxels than the brain has.
  const Extent extent{1, 24, 24};
  std::vector<float> hu(24 * 24, 0.0f);
  Mask brain(24 * 24);
  for (std::size_t i = 0; i < hu.size(); ++i) {
    const double r = std::hypot(static_cast<double>(i % 24) - 11.5, static_cast<double>(i / 24) - 11.5);
    brain[i] = r < 6.0;
    hu[i] = r < 6.0 ? 36.0f : r < 8.0 ? 800.0f : 0.0f;
  }
  EXPECT_EQ(compute_ct_brain_mask(hu, extent, 3.0), brain);
}

}  // namespace
}  // namespace perfpipe
