#include "stages/gamma_variate.hpp"

#include "core/random.hpp"
#include "stages/deconvolution_gamma.hpp"
#include "tests/stages/deconvolution_curves.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

Values sampled(const GammaVariate& g, double dt = 1.0) {
  Values curve;
  for (int t = 0; t < 70; ++t) curve.push_back(static_cast<float>(g.at(t * dt)));
  return curve;
}

TEST(GammaVariate, HasItsPeakAreaAndWidth) {
  const GammaVariate g{7.0, 10.3, 4.5, 3.0};
  EXPECT_NEAR(g.at(14.8), 7.0, 1e-12);
  EXPECT_EQ(g.at(10.3), 0.0);
  // A (t-t0)^α exp(-(t-t0)/β): area A β^(α+1) Γ(α+1).
  const double beta = 1.5, a = 7.0 * std::exp(3.0) / std::pow(4.5, 3.0);
  EXPECT_NEAR(g.area(), a * std::pow(beta, 4.0) * 6.0, 1e-9);
  EXPECT_NEAR(g.at(13.0), a * std::pow(2.7, 3.0) * std::exp(-2.7 / beta), 1e-9);
  double left = 0.0, right = 0.0;
  for (double t = 10.3; t < 40.0; t += 1e-4) {
    if (left == 0.0 && g.at(t) >= 3.5) left = t;
    if (g.at(t) >= 3.5) right = t;
  }
  EXPECT_NEAR(g.width(), right - left, 1e-3);
}

TEST(GammaVariate, IsFoundAgainWithoutNoise) {
  for (const double shape : {1.5, 3.0, 7.0})
    for (const double arrival : {6.0, 10.4})
      for (const double rise : {2.5, 6.0}) {
        const GammaVariate truth{80.0, arrival, rise, shape};
        const auto fit = fit_gamma_variate(sampled(truth), 1.0);
        ASSERT_TRUE(fit);
        // Samples are float32; a sharp start (α < 2) between samples leaves the arrival least certain.
        EXPECT_NEAR(fit->curve.peak, 80.0, 0.4) << shape << ' ' << arrival << ' ' << rise;
        EXPECT_NEAR(fit->curve.arrival + fit->curve.rise, arrival + rise, 0.05);
        EXPECT_NEAR(fit->curve.area(), truth.area(), 0.01 * truth.area());
        EXPECT_LT(fit->rms, 0.2);
      }
}

TEST(GammaVariate, TheFirstPassageEndsBeforeTheSecond) {
  ArterialInput input;
  input.recirculation = 0.3;
  Values curve;
  for (int t = 0; t < 70; ++t) curve.push_back(static_cast<float>(input.at(t)));
  const auto fit = fit_gamma_variate(curve, 1.0);
  ASSERT_TRUE(fit);
  EXPECT_LT(fit->first_pass_end, 25);
  EXPECT_GT(fit->first_pass_end, 16);
  const GammaVariate first{input.peak, input.arrival, input.shape * input.scale, input.shape};
  EXPECT_NEAR(fit->curve.area(), first.area(), 0.08 * first.area()) << "the tail of mixed blood lies under it";
  EXPECT_GT(std::accumulate(curve.begin(), curve.end(), 0.0), 1.3 * fit->curve.area()) << "or the test shows nothing";
}

TEST(GammaVariate, NothingIsFittedToWhatHasNoPeak) {
  EXPECT_FALSE(fit_gamma_variate(Values(70, 0.0f), 1.0));
  EXPECT_FALSE(fit_gamma_variate(Values(70, -1.0f), 1.0));
  EXPECT_FALSE(fit_gamma_variate({}, 1.0));
}

TEST(GammaVariate, IsALeastSquaresFit) {
  // No change of one parameter by a thousandth lowers the squared error.
  Random random(1, "fit");
  for (int round = 0; round < 20; ++round) {
    auto curve = noisy(sampled({50.0, random.uniform(8, 12), random.uniform(3, 7), random.uniform(2, 5)}), 2.0, random);
    const auto fit = fit_gamma_variate(curve, 1.0);
    ASSERT_TRUE(fit);
    const auto error = [&](const GammaVariate& g) {
      double sum = 0.0;
      for (std::int64_t t = 0; t < fit->first_pass_end; ++t)
        sum += std::pow(curve[static_cast<std::size_t>(t)] - g.at(static_cast<double>(t)), 2.0);
      return sum;
    };
    const double least = error(fit->curve);
    for (double GammaVariate::*parameter :
         {&GammaVariate::peak, &GammaVariate::arrival, &GammaVariate::rise, &GammaVariate::shape})
      for (const double change : {0.999, 1.001}) {
        GammaVariate other = fit->curve;
        other.*parameter *= change;
        EXPECT_GE(error(other), least * (1 - 1e-6)) << "round " << round;
      }
  }
}

TEST(GammaVariateDeconvolution, IsBsvdOfTheFittedPassages) {
  Random random(2, "gamma");
  const auto aif = arterial_curve();
  const auto curve = noisy(tissue_curve(Residue::gamma, 50.0, 4.0, 2.0), 0.05, random);
  const auto found = deconvolved(GammaVariateDeconvolution(aif, 1.0, 0.1), curve, 1);
  const auto expected = deconvolved(bsvd(sampled(fit_gamma_variate(aif, 1.0)->curve), 1.0, 0.1),
                                    sampled(fit_gamma_variate(curve, 1.0)->curve));
  EXPECT_EQ(found.values, expected.values);
  EXPECT_NEAR(found.extras[0][0], 12.0, 2.0);
}

TEST(GammaVariateDeconvolution, RecirculationDoesNotCount) {
  // Both curves with a second passage: the areas of the first ones give the volume.
  ArterialInput input;
  Values aif, curve(70);
  std::vector<double> times, tissue(70);
  for (int t = 0; t < 70; ++t) {
    times.push_back(t);
    aif.push_back(static_cast<float>(input.at(t)));
  }
  BolusConvolution convolution(input, 69.0);
  convolution.tissue({60.0, 3.0, 1.0, 0.0, Residue::exponential}, 1.04 / 0.73, times, tissue);
  std::copy(tissue.begin(), tissue.end(), curve.begin());
  EXPECT_NEAR(deconvolved(GammaVariateDeconvolution(aif, 1.0, 0.1), curve).cbv(), 3.0, 0.3);
}

}  // namespace
}  // namespace perfpipe
