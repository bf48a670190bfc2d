// From a residue function to CBF, CBV, MTT and Tmax.
#include "stages/deconvolution.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr double ratio = 0.73 / 1.04;

std::array<float, 4> values_of(const std::vector<float>& residue, double dt = 1.0, bool subsample = false) {
  ParameterScale scale;
  scale.subsample_tmax = subsample;
  return residue_parameters(residue, static_cast<std::int64_t>(residue.size()) / 2, dt, scale).value;
}

TEST(ResidueParameters, AreTheFormulaeOfAHandMadeCase) {
  // Max 0.01, sum 0.03 at Δt = 2 s.
  const auto v = values_of({0.0f, 0.005f, 0.01f, 0.005f, 0.01f - 0.0025f, 0.0025f, 0.0f, 0.0f}, 2.0);
  EXPECT_NEAR(v[0], 6000.0 * ratio * 0.01, 1e-4);       // ml/100g/min
  EXPECT_NEAR(v[1], 100.0 * ratio * 2.0 * 0.03, 1e-5);  // ml/100g
  EXPECT_NEAR(v[2], 2.0 * 0.03 / 0.01, 1e-5);           // s
  EXPECT_EQ(v[3], 4.0f);                                // s
}

TEST(ResidueParameters, HematocritAndDensityScaleFlowAndVolumeAlone) {
  const std::vector<float> residue{0.0f, 0.01f, 0.005f, 0.0f};
  const auto v = residue_parameters(residue, 2, 1.0, {1.0, 1.0, false}).value;
  EXPECT_NEAR(v[0], 60.0, 1e-4);
  EXPECT_NEAR(v[1], 1.5, 1e-6);
  EXPECT_EQ(v[2], values_of(residue)[2]);
  EXPECT_EQ(v[3], values_of(residue)[3]);
}

TEST(ResidueParameters, NegativeSamplesStayInTheSum) {
  EXPECT_NEAR(values_of({0.0f, 2.0f, -0.5f, -0.5f})[2], 0.5, 1e-6);
}

TEST(ResidueParameters, TheVertexOfAParabolaIsFoundBetweenSamples) {
  for (const double vertex : {3.0, 3.2, 3.49, 2.6}) {
    std::vector<float> residue;
    for (int i = 0; i < 12; ++i) residue.push_back(static_cast<float>(100.0 - (i - vertex) * (i - vertex)));
    EXPECT_NEAR(values_of(residue, 1.5, true)[3], 1.5 * vertex, 1e-4) << vertex;  // float32 of values near 100: 1e-5
    EXPECT_EQ(values_of(residue, 1.5, false)[3], static_cast<float>(1.5 * std::round(vertex)));
  }
}

TEST(ResidueParameters, TheParabolaNeverLeadsBelowZero) {
  // The largest sample is the first; its neighbour to the left is the last one of the period.
  EXPECT_EQ(values_of({1.0f, 0.2f, 0.0f, 0.9f}, 1.0, true)[3], 0.0f);
  EXPECT_NEAR(values_of({1.0f, 0.9f, 0.0f, 0.2f}, 1.0, true)[3], 0.5 - 0.1 / 0.9, 1e-6);
  EXPECT_EQ(values_of({0.0f, 1.0f, 1.0f, 1.0f, 0.0f, 0.0f}, 1.0, true)[3], 1.5f)
      << "the first of equals, and its parabola";
}

TEST(ResidueParameters, AMaximumInTheSecondHalfIsANegativeDelay) {
  const auto result = residue_parameters(std::vector<float>{0.1f, 0.0f, 0.2f, 0.5f}, 2, 1.0, {});
  EXPECT_TRUE(result.negative_delay);
  EXPECT_EQ(result.value[3], 0.0f);
  EXPECT_GT(result.value[0], 0.0f);
  EXPECT_FALSE(residue_parameters(std::vector<float>{0.1f, 0.5f, 0.2f, 0.4f}, 2, 1.0, {}).negative_delay);
}

TEST(ResidueParameters, AreZeroWithoutAPositiveOrARepresentableValue) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::array<float, 4> zero{};
  EXPECT_EQ(values_of({0.0f, 0.0f, 0.0f, 0.0f}), zero);
  EXPECT_EQ(values_of({-1.0f, -2.0f, -3.0f, -1.0f}), zero);
  EXPECT_EQ(values_of({1.0f, inf, 0.0f, 0.0f}), zero);
  EXPECT_EQ(values_of({1.0f, 0.0f, nan, 0.0f}), zero);
  EXPECT_EQ(values_of({nan, 1.0f, 0.0f, 0.0f}), zero);
  EXPECT_EQ(values_of({3e38f, 0.0f, 0.0f, 0.0f}), zero) << "its flow is beyond a float";
}

}  // namespace
}  // namespace perfpipe
