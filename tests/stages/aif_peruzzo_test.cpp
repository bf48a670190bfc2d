#include "stages/aif_peruzzo.hpp"

#include "core/random.hpp"
#include "tests/stages/deconvolution_curves.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

Values bolus(double arrival, double rise, double peak) {
  Values curve;
  for (int t = 0; t < 70; ++t) {
    const double x = std::max(0.0, (t - arrival) / rise);
    curve.push_back(static_cast<float>(peak * std::pow(x * std::exp(1.0 - x), 3.0)));
  }
  return curve;
}

TEST(PeruzzoSelect, EndsWithAFewArteries) {
  Random random(1, "peruzzo");
  Values curves;
  const auto add = [&](int n, double arrival, double rise, double peak) {
    for (int i = 0; i < n; ++i) {
      const auto curve = noisy(bolus(arrival, rise, peak), 1.0, random);
      curves.insert(curves.end(), curve.begin(), curve.end());
    }
  };
  add(20, 10, 4.5, 80);   // rows 0-19: arteries
  add(20, 16, 6.5, 60);   // rows 20-39: veins
  add(160, 12, 8.0, 20);  // rows 40-199: tissue
  const auto rows = peruzzo_select(curves, 70);
  EXPECT_GE(rows.size(), peruzzo_least_voxels);
  EXPECT_LE(rows.size(), 20u);
  for (auto row : rows) EXPECT_LT(row, 20);
  for (float& c : curves) c *= 512.0f;
  EXPECT_EQ(peruzzo_select(curves, 70), rows) << "a gain changes nothing";
}

TEST(PeruzzoSelect, OfEqualPeaksTheEarlierCounts) {
  Values curves;
  for (int i = 0; i < 60; ++i) {
    const auto curve = i < 12 ? bolus(10.0, 5.0, 79.0) : i < 24 ? bolus(12.0, 5.0, 80.0) : bolus(14.0, 8.0, 20.0);
    curves.insert(curves.end(), curve.begin(), curve.end());
  }
  for (auto row : peruzzo_select(curves, 70)) EXPECT_LT(row, 12);
}

TEST(PeruzzoSelect, TakesWhatThereIs) {
  EXPECT_EQ(peruzzo_select(bolus(10, 4, 50), 70), std::vector<std::int64_t>{0});
  EXPECT_TRUE(peruzzo_select({}, 70).empty());
  EXPECT_TRUE(peruzzo_select(Values(140, 0.0f), 70).empty());
}

TEST(CentralEllipse, LiesAroundTheMiddleOfEachSlicesMask) {
  // A mask of 20 x 10 voxels from (4, 6) on: semi-axes 7 and 1.5 around (13.5, 10.5).
  const Extent extent{2, 30, 30};
  std::vector<std::uint8_t> mask(2 * 900, 0);
  for (int y = 6; y < 16; ++y)
    for (int x = 4; x < 24; ++x) mask[static_cast<std::size_t>(y * 30 + x)] = 1;
  const auto inside = central_ellipse(mask, extent);
  for (int i = 0; i < 1800; ++i) {
    const int x = i % 30, y = i / 30 % 30;
    const bool expected = i < 900 && std::pow((x - 13.5) / 7.0, 2) + std::pow((y - 10.5) / 1.5, 2) <= 1.0;
    EXPECT_EQ(inside[static_cast<std::size_t>(i)] != 0, expected) << x << ' ' << y;
  }
  EXPECT_EQ(std::count(inside.begin(), inside.end(), 1), 2 * 14) << "or the test shows nothing";
}

}  // namespace
}  // namespace perfpipe
