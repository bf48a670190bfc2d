// From a residue function to CBF, CBV, MTT and Tmax.
#include "stages/deconvolution.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr double ratio = 0.73 / 1.04;

struct VoxelParameters {
  std::array<float, 4> value{};
  bool negative_delay = false;
};

VoxelParameters parameters_of(const std::vector<float>& residue, std::int64_t samples, double dt,
                              const ParameterScale& scale) {
  VoxelParameters p;
  std::uint8_t negative = 0;
  residue_parameters(
      residue, 1, samples, dt, scale,
      {std::span(&p.value[0], 1), std::span(&p.value[1], 1), std::span(&p.value[2], 1), std::span(&p.value[3], 1)},
      {&negative, 1});
  p.negative_delay = negative != 0;
  return p;
}

std::array<float, 4> values_of(const std::vector<float>& residue, double dt = 1.0, bool subsample = false) {
  ParameterScale scale;
  scale.subsample_tmax = subsample;
  return parameters_of(residue, static_cast<std::int64_t>(residue.size()) / 2, dt, scale).value;
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
  const auto v = parameters_of(residue, 2, 1.0, {1.0, 1.0, false}).value;
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
  const auto result = parameters_of(std::vector<float>{0.1f, 0.0f, 0.2f, 0.5f}, 2, 1.0, {});
  EXPECT_TRUE(result.negative_delay);
  EXPECT_EQ(result.value[3], 0.0f);
  EXPECT_GT(result.value[0], 0.0f);
  EXPECT_FALSE(parameters_of(std::vector<float>{0.1f, 0.5f, 0.2f, 0.4f}, 2, 1.0, {}).negative_delay);
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

TEST(ResidueParameters, VoxelsStandSideBySide) {
  // [L, voxels]: k of two voxels, 0 1 0 0 and 0 0 2 1.
  const std::vector<float> residues{0, 0, 1, 0, 0, 2, 0, 1};
  std::array<std::array<float, 2>, 4> maps{};
  std::array<std::uint8_t, 2> negative{};
  residue_parameters(residues, 2, 4, 1.0, {1.0, 1.0, false}, {maps[0], maps[1], maps[2], maps[3]}, negative);
  EXPECT_EQ(maps[0], (std::array<float, 2>{6000.0f, 12000.0f}));
  EXPECT_EQ(maps[1], (std::array<float, 2>{100.0f, 300.0f}));
  EXPECT_EQ(maps[2], (std::array<float, 2>{1.0f, 1.5f}));
  EXPECT_EQ(maps[3], (std::array<float, 2>{1.0f, 2.0f}));
}

}  // namespace
}  // namespace perfpipe
