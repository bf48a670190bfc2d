#include "stages/aif_quality.hpp"

#include "core/random.hpp"
#include "tests/stages/deconvolution_curves.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

Values bolus(double arrival, double rise, double peak, double shape = 3.0) {
  const GammaVariate g{peak, arrival, rise, shape};
  Values curve;
  for (int t = 0; t < 70; ++t) curve.push_back(static_cast<float>(g.at(t)));
  return curve;
}

bool says(const Values& aif, const std::string& word, std::optional<double> mean_peak = 25.0) {
  for (const auto& doubt : aif_doubts(aif_quality(aif, 1.0), 69.0, mean_peak))
    if (doubt.find(word) != std::string::npos) return true;
  return false;
}

TEST(AifQuality, MeasuresPeakTimeAndWidth) {
  const auto q = aif_quality(bolus(10.0, 5.0, 80.0), 1.0);
  EXPECT_NEAR(q.peak, 80.0, 1e-4);
  EXPECT_EQ(q.time_to_peak, 15.0);
  EXPECT_NEAR(q.width, (GammaVariate{80.0, 10.0, 5.0, 3.0}.width()), 0.1) << "linear between samples";
  EXPECT_NEAR(q.score, 80.0 / (q.width * 15.0), 1e-9);
  EXPECT_EQ(q.baseline_noise, 0.0);
  EXPECT_LT(q.plateau, 0.4);
  ASSERT_TRUE(q.fit);
  EXPECT_NEAR(q.fit->curve.area(), (GammaVariate{80.0, 10.0, 5.0, 3.0}.area()), 1.0);
}

TEST(AifQuality, DoubtsNothingAboutAGoodOne) {
  Random random(1, "good");
  EXPECT_TRUE(aif_doubts(aif_quality(noisy(bolus(10.0, 5.0, 80.0), 1.5, random), 1.0), 69.0, 22.0).empty());
}

TEST(AifQuality, SaysWhatItDoubts) {
  Random random(2, "poor");
  EXPECT_TRUE(says(bolus(15.0, 8.0, 80.0), "late", 20.0));
  EXPECT_FALSE(says(bolus(15.0, 8.0, 80.0), "late", std::nullopt)) << "nothing to compare with";
  EXPECT_TRUE(says(bolus(8.0, 16.0, 80.0), "wide"));
  EXPECT_TRUE(says(noisy(bolus(10.0, 5.0, 80.0), 20.0, random), "noisy"));
  EXPECT_TRUE(says(noisy(bolus(10.0, 5.0, 80.0), 20.0, random), "rough"));
  auto clipped = bolus(10.0, 5.0, 80.0);
  for (float& c : clipped) c = std::min(c, 45.0f);
  EXPECT_TRUE(says(clipped, "saturated"));
  Values rising;
  for (int t = 0; t < 70; ++t) rising.push_back(static_cast<float>(t));
  EXPECT_TRUE(says(rising, "end of the series"));
}

TEST(VenousRows, AreTheLargestOfTheLateOnes) {
  Values curves;
  const auto add = [&](int n, const Values& curve) {
    for (int i = 0; i < n; ++i) curves.insert(curves.end(), curve.begin(), curve.end());
  };
  add(20, bolus(10.0, 5.0, 80.0));  // rows 0-19: arteries
  add(12, bolus(14.0, 7.0, 70.0));  // rows 20-31: veins, peak at 21
  add(20, bolus(14.0, 7.0, 20.0));  // rows 32-51: tissue
  const auto rows = venous_rows(curves, 70, 15);
  EXPECT_EQ(rows.size(), vof_voxels);
  for (auto row : rows) EXPECT_TRUE(row >= 20 && row < 32) << row;
  EXPECT_TRUE(venous_rows(bolus(10.0, 5.0, 80.0), 70, 15).empty());
}

}  // namespace
}  // namespace perfpipe
