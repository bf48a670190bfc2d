#include "stages/deconvolution.hpp"

#include "core/error.hpp"
#include "core/random.hpp"
#include "stages/phantom_curves.hpp"
#include "tests/stages/dense_svd.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::int64_t n = 70;
using Values = std::vector<float>;

/// AIF of METHODS section 4: t³ exp(-t/1.5), arriving at 10 s.
double arterial(double t) { return t > 10.0 ? std::pow(t - 10.0, 3.0) * std::exp(-(t - 10.0) / 1.5) : 0.0; }

Values arterial_curve() {
  Values aif;
  for (int i = 0; i < n; ++i) aif.push_back(static_cast<float>(arterial(i)));
  return aif;
}

/// Tissue curve at 0, 1, ... 69 s: the rectangle rule on a grid of `step` s, for kH and ρ of the defaults.
Values tissue_curve(Residue residue, double cbf, double mtt, double delay, double step) {
  Values curve;
  for (int i = 0; i < n; ++i) {
    double sum = 0.0;
    for (int j = 0; j * step <= i; ++j)
      sum += step * arterial(i - delay - j * step) * residue_function(residue, mtt, j * step);
    curve.push_back(static_cast<float>(cbf / 6000.0 * 1.04 / 0.73 * sum));
  }
  return curve;
}

struct Maps {
  std::array<Values, 4> values;
  std::int64_t negative = 0;
  float cbf() const { return values[0][0]; }
  float cbv() const { return values[1][0]; }
  float mtt() const { return values[2][0]; }
  float tmax() const { return values[3][0]; }
};

Maps deconvolved(const DeconvolutionOperator& op, const Values& curves, int threads = 1, bool subsample = false) {
  Maps maps;
  for (auto& map : maps.values) map.assign(curves.size() / static_cast<std::size_t>(op.samples), -1.0f);
  ParameterScale scale;
  scale.subsample_tmax = subsample;
  maps.negative =
      deconvolve(op, curves, scale, threads, {maps.values[0], maps.values[1], maps.values[2], maps.values[3]});
  return maps;
}

/// k = operator · c in double.
std::vector<double> residue_of(const DeconvolutionOperator& op, const Values& curve) {
  std::vector<double> k(static_cast<std::size_t>(op.length), 0.0);
  for (std::size_t i = 0; i < k.size(); ++i)
    for (std::size_t j = 0; j < curve.size(); ++j)
      k[i] += static_cast<double>(op.matrix[i * curve.size() + j]) * curve[j];
  return k;
}

Values noisy(Values curve, double sd, Random& random) {
  for (float& c : curve) c = static_cast<float>(c + sd * random.normal());
  return curve;
}

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
      const auto maps = deconvolved(bsvd_operator(arterial_curve(), 1.0, i == 0 ? 0.1 : 0.2), curve);
      EXPECT_NEAR(maps.cbf() / cbf, row.cbf[i], 6e-4) << "MTT " << row.mtt << ", threshold " << i;
      EXPECT_EQ(maps.tmax(), row.tmax[i]) << "MTT " << row.mtt << ", threshold " << i;
      EXPECT_NEAR(maps.cbv() / 4.0, row.area, 6e-4) << "MTT " << row.mtt;
      EXPECT_NEAR(maps.mtt(), 60.0 * maps.cbv() / maps.cbf(), 1e-5 * maps.mtt()) << "the central volume theorem";
    }
  }
}

TEST(Bsvd, IsTheTruncatedSvdOfTheBlockCirculantMatrix) {
  Random random(1, "oracle");
  const Values shapes[] = {arterial_curve(), noisy(arterial_curve(), 0.3, random), noisy(Values(n, 0.0f), 1.0, random)};
  for (const auto& aif : shapes)
    for (const double dt : {1.0, 1.243}) {
      std::vector<double> matrix(4 * n * n, 0.0), padded(2 * n, 0.0);
      for (int i = 0; i < 2 * n; ++i)
        for (int j = 0; j < n; ++j)
          matrix[static_cast<std::size_t>((i + j) % (2 * n) * 2 * n + i)] = dt * aif[static_cast<std::size_t>(j)];
      const auto curve = noisy(tissue_curve(Residue::exponential, 40.0, 5.0, 3.0, 0.1), 0.01, random);
      std::copy(curve.begin(), curve.end(), padded.begin());
      double nearest = 0.0;
      const auto expected = truncated_solve(matrix, padded, 0.1, nearest);
      ASSERT_GT(nearest, 1e-9) << "a singular value right at the cut would make this a matter of rounding";
      const auto found = residue_of(bsvd_operator(aif, dt, 0.1), curve);
      double difference = 0.0, size = 0.0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        difference = std::max(difference, std::abs(found[i] - expected[i]));
        size = std::max(size, std::abs(expected[i]));
      }
      // The operator is stored as float32: 6e-8 relative for each of 70 terms that partly cancel.
      EXPECT_LE(difference, 1e-5 * size);
    }
}

TEST(Bsvd, ScalesWithTheTissueAndNotWithACommonGain) {
  Random random(2, "gain");
  const auto curve = noisy(tissue_curve(Residue::exponential, 40.0, 5.0, 3.0, 0.1), 0.005, random);
  const auto scaled = [](Values values, float factor) {
    for (float& x : values) x *= factor;
    return values;
  };
  const auto op = bsvd_operator(arterial_curve(), 1.0, 0.1);
  const auto once = deconvolved(op, curve), thrice = deconvolved(op, scaled(curve, 3.0f));
  // Rounding of float32 sums over 70 and 140 terms: some 1e-6.
  EXPECT_NEAR(thrice.cbf(), 3.0 * once.cbf(), 2e-5 * thrice.cbf());
  EXPECT_NEAR(thrice.cbv(), 3.0 * once.cbv(), 2e-5 * thrice.cbv());
  EXPECT_NEAR(thrice.mtt(), once.mtt(), 2e-5 * once.mtt());
  EXPECT_EQ(thrice.tmax(), once.tmax());
  for (const float gain : {1e-3f, 0.7f, 1e3f}) {
    const auto both = deconvolved(bsvd_operator(scaled(arterial_curve(), gain), 1.0, 0.1), scaled(curve, gain));
    for (std::size_t p = 0; p < 4; ++p) EXPECT_NEAR(both.values[p][0], once.values[p][0], 2e-5 * once.values[p][0]);
  }
}

TEST(Bsvd, IsLinear) {
  const auto op = bsvd_operator(arterial_curve(), 1.0, 0.1);
  const auto a = tissue_curve(Residue::linear, 50.0, 4.0, 1.0, 0.1),
             b = tissue_curve(Residue::box, 20.0, 9.0, 6.0, 0.1);
  Values sum(n);
  std::transform(a.begin(), a.end(), b.begin(), sum.begin(), std::plus<>());
  // CBV is linear in the curve: 2e-5 for float32 sums.
  EXPECT_NEAR(deconvolved(op, sum).cbv(), deconvolved(op, a).cbv() + deconvolved(op, b).cbv(),
              2e-5 * deconvolved(op, sum).cbv());
}

TEST(Bsvd, ADelayMovesTmaxAndNothingElse) {
  const auto op = bsvd_operator(arterial_curve(), 1.0, 0.1);
  const auto at_once = deconvolved(op, tissue_curve(Residue::box, 50.0, 4.0, 0.0, 0.1));
  for (const double delay : {1.0, 5.0, 12.0, 30.0}) {
    const auto later = deconvolved(op, tissue_curve(Residue::box, 50.0, 4.0, delay, 0.1));
    // The curves end before 70 s but for 1e-6 of their height.
    EXPECT_NEAR(later.cbf(), at_once.cbf(), 1e-4 * at_once.cbf()) << delay;
    EXPECT_NEAR(later.cbv(), at_once.cbv(), 1e-4 * at_once.cbv()) << delay;
    EXPECT_NEAR(later.tmax(), at_once.tmax() + delay, 1e-4) << delay;
  }
}

TEST(Bsvd, TissueBeforeTheArteryIsANegativeDelay) {
  const auto op = bsvd_operator(arterial_curve(), 1.0, 0.1);
  const auto early = deconvolved(op, tissue_curve(Residue::exponential, 50.0, 2.0, -6.0, 0.1));
  EXPECT_EQ(early.negative, 1);
  EXPECT_EQ(early.tmax(), 0.0f);
  EXPECT_GT(early.cbf(), 20.0f) << "flow and volume do not depend on it";
  EXPECT_EQ(deconvolved(op, tissue_curve(Residue::exponential, 50.0, 2.0, 0.0, 0.1)).negative, 0);
}

TEST(Bsvd, DependsOnDeltaTAsItShould) {
  // The same physics sampled twice as finely: only what the cut leaves out differs, some percent.
  Values aif, curve;
  for (int i = 0; i < 2 * n; ++i) {
    aif.push_back(static_cast<float>(arterial(0.5 * i)));
    double sum = 0.0;
    for (int j = 0; j * 0.025 <= 0.5 * i; ++j)
      sum += 0.025 * arterial(0.5 * i - 5.0 - j * 0.025) * std::exp(-j * 0.025 / 4.0);
    curve.push_back(static_cast<float>(60.0 / 6000.0 * 1.04 / 0.73 * sum));
  }
  const auto fine = deconvolved(bsvd_operator(aif, 0.5, 0.1), curve);
  const auto coarse =
      deconvolved(bsvd_operator(arterial_curve(), 1.0, 0.1), tissue_curve(Residue::exponential, 60.0, 4.0, 5.0, 0.025));
  EXPECT_NEAR(fine.cbv(), coarse.cbv(), 0.002 * coarse.cbv());
  EXPECT_NEAR(fine.cbf(), coarse.cbf(), 0.03 * coarse.cbf());
  EXPECT_NEAR(fine.tmax(), coarse.tmax(), 0.5);
}

TEST(Bsvd, RefusesAnAifThatCannotBeDivided) {
  for (const float value :
       {0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e-44f})
    EXPECT_THROW(bsvd_operator(Values(n, value), 1.0, 0.1), InputError) << value;
}

TEST(Deconvolve, GivesTheSameBitsForAnyOrderNumberAndThreads) {
  Random random(3, "voxels");
  constexpr std::size_t voxels = 1000;
  Values curves;
  for (std::size_t v = 0; v < voxels; ++v) {
    const auto curve = noisy(arterial_curve(), 0.5, random);
    curves.insert(curves.end(), curve.begin(), curve.end());
  }
  const auto op = bsvd_operator(arterial_curve(), 1.0, 0.1);
  const auto all = deconvolved(op, curves, 1);
  for (const int threads : {2, 3, 8}) EXPECT_EQ(deconvolved(op, curves, threads).values, all.values);

  Values turned;
  for (std::size_t v = voxels; v-- > 0;) turned.insert(turned.end(), &curves[v * n], &curves[v * n] + n);
  auto backwards = deconvolved(op, turned, 2);
  for (auto& map : backwards.values) std::reverse(map.begin(), map.end());
  EXPECT_EQ(backwards.values, all.values);

  for (const std::size_t v : {std::size_t{0}, std::size_t{255}, std::size_t{256}, std::size_t{999}}) {
    const auto alone = deconvolved(op, {&curves[v * n], &curves[v * n] + n});
    for (std::size_t p = 0; p < 4; ++p) EXPECT_EQ(alone.values[p][0], all.values[p][v]) << "voxel " << v;
  }
}

TEST(Deconvolve, AZeroCurveIsZeroEverywhere) {
  const auto maps = deconvolved(bsvd_operator(arterial_curve(), 1.0, 0.1), Values(3 * n, 0.0f));
  for (const auto& map : maps.values) EXPECT_EQ(map, Values(3, 0.0f));
  EXPECT_EQ(maps.negative, 0);
  EXPECT_EQ(deconvolved(bsvd_operator(arterial_curve(), 1.0, 0.1), {}).negative, 0) << "nor does no curve do harm";
}

TEST(Deconvolve, NoFiniteInputGivesANumberThatIsNone) {
  Random random(4, "fuzz");
  for (int round = 0; round < 60; ++round) {
    const auto draw = [&](double low, double high) {
      const double size = std::pow(10.0, random.uniform(low, high));
      Values values(n);
      for (float& x : values) x = static_cast<float>(size * random.normal());
      if (random.below(3) == 0) values[random.below(n)] = std::numeric_limits<float>::max();
      if (random.below(3) == 0) values[random.below(n)] = std::numeric_limits<float>::denorm_min();
      return values;
    };
    const auto op = bsvd_operator(draw(-30.0, 37.0), random.uniform(0.1, 10.0), random.uniform(0.01, 0.9));
    Values curves;
    for (int v = 0; v < 20; ++v) {
      const auto curve = draw(-44.0, 38.0);
      curves.insert(curves.end(), curve.begin(), curve.end());
    }
    for (const bool subsample : {false, true})
      for (const auto& map : deconvolved(op, curves, 1, subsample).values)
        for (const float x : map) ASSERT_TRUE(std::isfinite(x)) << "round " << round;
  }
}

}  // namespace
}  // namespace perfpipe
