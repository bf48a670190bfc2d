#include "stages/concentration.hpp"

#include "core/logarithm.hpp"
#include "core/random.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Curve = std::vector<double>;

/// `before` frames of 100, then a passage that falls to `lowest` and comes back.
Curve passage(int before, double lowest) {
  Curve curve(static_cast<std::size_t>(before), 100.0);
  for (const double share : {0.2, 0.6, 1.0, 0.9, 0.6, 0.35, 0.2, 0.15, 0.1, 0.1, 0.1})
    curve.push_back(100.0 - share * (100.0 - lowest));
  return curve;
}

Curve after(Curve front, const Curve& rest) {
  front.insert(front.end(), rest.begin(), rest.end());
  return front;
}

TEST(UnsteadyFrames, AreTheBrightOnesAtTheStart) {
  EXPECT_EQ(unsteady_frames(passage(10, 80.0)), 0);
  EXPECT_EQ(unsteady_frames(after({129.0}, passage(9, 80.0))), 1);
  EXPECT_EQ(unsteady_frames(after({130.0, 109.0}, passage(9, 80.0))), 2);
  EXPECT_EQ(unsteady_frames(after({140.0, 120.0, 112.0, 106.0}, passage(9, 80.0))), 4);
  EXPECT_EQ(unsteady_frames(after({104.0}, passage(9, 80.0))), 0) << "4 % are noise";
}

TEST(UnsteadyFrames, AreFourAtMost) {
  Curve falling;
  for (int i = 0; i < 20; ++i) falling.push_back(1000.0 * std::pow(0.8, i));
  EXPECT_EQ(unsteady_frames(falling), 4);
}

TEST(UnsteadyFrames, AnEarlyBolusMakesNoFrameBright) {
  // At TR 2.2 s and an arrival after 8 s four frames lie before the bolus: none of them is out of steady state.
  for (int before = 3; before <= 6; ++before) {
    EXPECT_EQ(unsteady_frames(passage(before, 60.0)), 0) << before;
    EXPECT_EQ(unsteady_frames(after({130.0}, passage(before, 60.0))), 1) << before;
  }
}

TEST(UnsteadyFrames, ASeriesThatIsTooShortHasNone) {
  EXPECT_EQ(unsteady_frames(Curve{}), 0);
  EXPECT_EQ(unsteady_frames(Curve{200.0, 100.0, 100.0}), 0);
}

TEST(BaselineFrames, EndOneFrameBeforeTheBolusAtTheLatest) {
  EXPECT_EQ(baseline_frames(passage(8, 60.0)), 8) << "a sudden bolus: every frame before it";
  // A brain's mean falls by 8 % in all, so that the first frames of the passage are within 5 %: 3 % of the change
  // decides.
  Curve slow(8, 100.0);
  for (const double s : {99.6, 98.0, 95.0, 92.0, 93.0, 95.0, 97.0, 98.0}) slow.push_back(s);
  EXPECT_EQ(baseline_frames(slow), 7);
}

TEST(BaselineFrames, AreThreeAtLeastAndTwelveAtMost) {
  EXPECT_EQ(baseline_frames(passage(1, 50.0)), 3);
  EXPECT_EQ(baseline_frames(passage(4, 50.0)), 4);
  EXPECT_EQ(baseline_frames(passage(30, 50.0)), 12);
  EXPECT_EQ(baseline_frames(Curve(40, 100.0)), 12) << "without any bolus, too";
  EXPECT_EQ(baseline_frames(Curve{100.0, 100.0}), 2);
}

TEST(BaselineFrames, RisingSignalsOfCtEndItToo) {
  Curve ct(9, 40.0);
  for (const double hu : {41.0, 45.0, 52.0, 50.0, 46.0, 43.0}) ct.push_back(hu);
  EXPECT_EQ(baseline_frames(ct), 8);
}

TEST(BolusArrival, IsTheLastSampleBeforeTheRise) {
  const Curve concentration{0.0, 0.1, -0.1, 0.05, 0.8, 4.0, 9.0, 10.0, 6.0, 2.0, 0.5, 0.4};
  EXPECT_EQ(bolus_arrival(concentration), 4) << "0.8 is below a tenth of the peak";
  EXPECT_EQ(bolus_arrival(Curve{5.0, 9.0, 3.0}), 0) << "it never is that low";
  EXPECT_EQ(bolus_arrival(Curve(10, 0.0)), 0);
  EXPECT_EQ(bolus_arrival(Curve{}), 0);
}

TEST(ConcentrationMr, InvertsTheSignalEquation) {
  const std::vector<double> truth{0.0, 0.0, 0.0, 1.5, 12.0, 40.0, 7.0, -0.3};
  std::vector<float> signal, found(truth.size());
  for (const double c : truth) signal.push_back(static_cast<float>(812.0 * std::exp(-0.0293 * c)));
  ASSERT_TRUE(concentration_mr(signal, 3, 0.0293, HUGE_VALF, found));
  // A float32 signal is good to 6e-8, over TE 2e-6 1/s.
  for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(found[i], truth[i], 1e-5);
}

TEST(ConcentrationMr, TheBaselineIsTheMeanOfItsSignals) {
  std::vector<float> found(4);
  ASSERT_TRUE(concentration_mr(std::vector<float>{90.0f, 110.0f, 100.0f, 50.0f}, 3, 0.03, HUGE_VALF, found));
  EXPECT_NEAR(found[3], std::log(2.0) / 0.03, 1e-5);
  EXPECT_NEAR(found[0], -std::log(0.9) / 0.03, 1e-5);
}

TEST(ConcentrationMr, ASampleWithoutALogarithmLeavesTheVoxelOut) {
  for (const float bad :
       {0.0f, -3.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> found(5, 7.0f);
    EXPECT_FALSE(concentration_mr(std::vector<float>{100.0f, 100.0f, 100.0f, bad, 90.0f}, 3, 0.03, HUGE_VALF, found))
        << bad;
    EXPECT_EQ(found, std::vector<float>(5, 0.0f)) << bad;
  }
}

TEST(Concentration, ASampleAtTheLargestValueOfTheFileLeavesTheVoxelOut) {
  const std::vector<float> saturated{100.0f, 255.0f, 90.0f, 80.0f}, below{100.0f, 254.0f, 90.0f, 80.0f};
  std::vector<float> found(4);
  EXPECT_FALSE(concentration_mr(saturated, 1, 0.03, 255.0f, found));
  EXPECT_TRUE(concentration_mr(below, 1, 0.03, 255.0f, found));
  EXPECT_FALSE(concentration_ct(saturated, 1, 255.0f, found));
  EXPECT_EQ(found, std::vector<float>(4, 0.0f));
}

TEST(ConcentrationCt, IsTheDifferenceFromTheBaseline) {
  std::vector<float> found(4);
  ASSERT_TRUE(concentration_ct(std::vector<float>{-10.0f, 30.0f, 60.0f, 0.0f}, 2, 3071.0f, found));
  EXPECT_EQ(found, (std::vector<float>{-20.0f, 20.0f, 50.0f, -10.0f})) << "negative HU are values like others";
  EXPECT_FALSE(concentration_ct(std::vector<float>{1.0f, 2.0f, std::numeric_limits<float>::quiet_NaN(), 3.0f}, 2,
                                3071.0f, found));
  EXPECT_EQ(found, std::vector<float>(4, 0.0f));
}

TEST(ConcentrationMr, HasTheBitsOfPlainArithmeticWhateverTheProcessor) {
  Random random(1, "concentration");
  for (const std::size_t frames : {3, 16, 61}) {
    std::vector<float> signal, concentration(frames);
    for (std::size_t t = 0; t < frames; ++t) signal.push_back(static_cast<float>(random.uniform(1.0, 4000.0)));
    ASSERT_TRUE(concentration_mr(signal, 1, 0.03, HUGE_VALF, concentration));
    for (std::size_t t = 0; t < frames; ++t)
      EXPECT_EQ(concentration[t], static_cast<float>((positive_log(signal[0]) - positive_log(signal[t])) / 0.03));
    ASSERT_TRUE(concentration_mr(signal, 1, 0.03, HUGE_VALF, signal));
    EXPECT_EQ(signal, concentration) << "in its own place";
  }
}

}  // namespace
}  // namespace perfpipe
