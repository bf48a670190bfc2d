#include "core/error.hpp"
#include "stages/deconvolution_linear.hpp"
#include "tests/stages/deconvolution_curves.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::size_t n = curve_samples;

TEST(Bsvd, MeetsTheNoiseFreeCheckValues) {
  // METHODS section 4: Δt = 1 s, N = 70, CBV 4 ml/100g, delay 5 s; CBF/true and argmax Tmax at λ = 0.1 and 0.2,
  // area/true.
  struct Row {
    Residue residue;
    double mtt;
    double cbf[2];
    double tmax[2];
    double area;
  };
  const Row rows[] = {{Residue::exponential, 4, {0.639, 0.566}, {7, 7}, 1.003},
                      {Residue::exponential, 12, {0.871, 0.832}, {8, 8}, 0.983},
                      {Residue::linear, 4, {0.772, 0.694}, {7, 7}, 1.003},
                      {Residue::box, 4, {1.002, 0.836}, {7, 7}, 1.000},
                      {Residue::box, 12, {1.111, 1.061}, {14, 11}, 1.000}};
  for (const auto& row : rows) {
    // The table's curves are rectangle sums on a grid of 0.025 s: its areas of continuous residue functions carry that
    // rule's excess of 0.025 / 2 MTT (0.3 % at 4 s). Half a unit of the last printed digit, and float32, is 6e-4.
    const double cbf = 4.0 * 60.0 / row.mtt;
    const auto curve = tissue_curve(row.residue, cbf, row.mtt, 5.0, 0.025);
    for (int i = 0; i < 2; ++i) {
      const auto maps = deconvolved(bsvd(arterial_curve(), 1.0, i == 0 ? 0.1 : 0.2), curve);
      EXPECT_NEAR(maps.cbf() / cbf, row.cbf[i], 6e-4) << "MTT " << row.mtt << ", threshold " << i;
      EXPECT_EQ(maps.tmax(), row.tmax[i]) << "MTT " << row.mtt << ", threshold " << i;
      EXPECT_NEAR(maps.cbv() / 4.0, row.area, 6e-4) << "MTT " << row.mtt;
      EXPECT_NEAR(maps.mtt(), 60.0 * maps.cbv() / maps.cbf(), 1e-5 * maps.mtt()) << "the central volume theorem";
    }
  }
}

TEST(Bsvd, TissueBeforeTheArteryIsANegativeDelay) {
  const auto op = bsvd(arterial_curve(), 1.0, 0.1);
  const auto early = deconvolved(op, tissue_curve(Residue::exponential, 50.0, 2.0, -6.0, 0.1));
  EXPECT_EQ(early.negative, 1);
  EXPECT_EQ(early.tmax(), 0.0f);
  EXPECT_GT(early.cbf(), 20.0f) << "flow and volume do not depend on it";
  EXPECT_EQ(deconvolved(op, tissue_curve(Residue::exponential, 50.0, 2.0, 0.0, 0.1)).negative, 0);
}

TEST(Bsvd, RefusesAnAifThatCannotBeDivided) {
  for (const float value :
       {0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e-44f})
    EXPECT_THROW(bsvd(Values(n, value), 1.0, 0.1), InputError) << value;
}

TEST(Bsvd, KeepsFewVectors) {
  // What makes two thin products cheaper than the matrix: cosine and sine of the frequencies that the AIF has.
  const auto method = bsvd(arterial_curve(), 1.0, 0.1);
  EXPECT_LT(method.rank(), 46) << "70 · 140 / 210";
  EXPECT_EQ(method.rank() % 2, 1) << "one of frequency 0, two of every other";
}

TEST(Deconvolve, LeavesVoxelsOutsideAsTheyAre) {
  const auto method = bsvd(arterial_curve(), 1.0, 0.1);
  Values curves;
  for (int v = 0; v < 5; ++v) {
    const auto curve = tissue_curve(Residue::exponential, 10.0f + 10.0f * v, 4.0, 1.0);
    curves.insert(curves.end(), curve.begin(), curve.end());
  }
  std::array<Values, 4> maps;
  for (auto& map : maps) map.assign(5, -7.0f);
  const std::vector<std::uint8_t> inside{1, 0, 1, 0, 1};
  deconvolve(method, curves, inside, 5, {}, 1, {{maps[0], maps[1], maps[2], maps[3]}, {}, {}});
  const auto all = deconvolved(method, curves);
  for (std::size_t p = 0; p < 4; ++p)
    EXPECT_EQ(maps[p], (Values{all.values[p][0], -7.0f, all.values[p][2], -7.0f, all.values[p][4]}));
}

TEST(Deconvolve, SlicesAreBlocksOfTheirOwn) {
  // Whether three slices come at once or one by one: not a bit may change.
  Random random(5, "slices");
  constexpr std::size_t slice = 300;
  Values curves;
  std::vector<std::uint8_t> inside;
  for (std::size_t v = 0; v < 3 * slice; ++v) {
    const auto curve = noisy(arterial_curve(), 0.5, random);
    curves.insert(curves.end(), curve.begin(), curve.end());
    inside.push_back(random.below(4) != 0);
  }
  const auto method = bsvd(arterial_curve(), 1.0, 0.1);
  const auto run = [&](std::size_t first, std::size_t slices, std::array<Values, 4>& maps) {
    const std::size_t from = first * slice, count = slices * slice;
    const auto part = [&](Values& map) { return std::span(map).subspan(from, count); };
    deconvolve(method, std::span(curves).subspan(from * n, count * n), std::span(inside).subspan(from, count), slice,
               {}, 2, {{part(maps[0]), part(maps[1]), part(maps[2]), part(maps[3])}, {}, {}});
  };
  std::array<Values, 4> together, alone;
  for (auto* maps : {&together, &alone})
    for (auto& map : *maps) map.assign(3 * slice, 0.0f);
  run(0, 3, together);
  for (std::size_t z = 0; z < 3; ++z) run(z, 1, alone);
  EXPECT_EQ(together, alone);
}

TEST(Deconvolve, AZeroCurveIsZeroEverywhere) {
  const auto maps = deconvolved(bsvd(arterial_curve(), 1.0, 0.1), Values(3 * n, 0.0f));
  for (const auto& map : maps.values) EXPECT_EQ(map, Values(3, 0.0f));
  EXPECT_EQ(maps.negative, 0);
  EXPECT_EQ(deconvolved(bsvd(arterial_curve(), 1.0, 0.1), {}).negative, 0) << "nor does no curve do harm";
}

}  // namespace
}  // namespace perfpipe
