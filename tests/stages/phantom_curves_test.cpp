#include "stages/phantom_curves.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr double tissue_factor = 1.04 / 0.73;
constexpr Residue residues[] = {Residue::exponential, Residue::linear, Residue::box, Residue::gamma};

std::vector<double> every(double step, double duration) {
  std::vector<double> times;
  for (int i = 0; i * step <= duration; ++i) times.push_back(i * step);
  return times;
}

/// C(t) by brute force: midpoint sums of 0.01 s over the definition, sharing nothing with the code under test.
std::vector<double> direct_convolution(const ArterialInput& input, const Kinetics& k,
                                       const std::vector<double>& times) {
  constexpr double h = 0.01;
  const auto n = static_cast<std::size_t>(times.back() / h) + 1;
  std::vector<double> dispersed(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double t = (static_cast<double>(i) + 0.5) * h;
    if (k.dispersion == 0.0) {
      dispersed[i] = residue_function(k.residue, k.mtt, t);
      continue;
    }
    for (double s = 0.5 * h; s < t; s += h)
      dispersed[i] += h / k.dispersion * std::exp(-s / k.dispersion) * residue_function(k.residue, k.mtt, t - s);
  }
  std::vector<double> curve;
  for (double t : times) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i)
      sum += h * dispersed[i] * input.at(t - k.delay - (static_cast<double>(i) + 0.5) * h);
    curve.push_back(tissue_factor * k.cbf / 6000.0 * sum);
  }
  return curve;
}

TEST(ResidueFunction, StartsAtOneFallsAndHasTheAreaOfTheTransitTime) {
  for (Residue residue : residues) {
    EXPECT_EQ(residue_function(residue, 5.0, 0.0), 1.0);
    EXPECT_EQ(residue_function(residue, 5.0, -0.1), 0.0);
    double area = 0.0;
    double before = 1.0;
    for (int i = 0; i < 100000; ++i) {
      const double value = residue_function(residue, 5.0, (i + 0.5) * 1e-3);
      EXPECT_LE(value, before);
      before = value;
      area += 1e-3 * value;
    }
    // 100 s of midpoints of 1 ms; the box may gain or lose half a step at its end.
    EXPECT_NEAR(area, 5.0, 1e-3);
  }
}

TEST(ArterialInput, PeaksAtShapeTimesScaleAfterArrival) {
  ArterialInput input;
  input.recirculation = 0.0;
  input.tail = 0.0;
  EXPECT_EQ(input.at(input.arrival), 0.0);
  EXPECT_NEAR(input.at(input.arrival + input.shape * input.scale), input.peak, 1e-9);
  double area = 0.0;
  for (int i = 0; i < 20000; ++i) area += 0.005 * input.at((i + 0.5) * 0.005);
  // A t^α exp(-t/β) has area A β^(α+1) Γ(α+1), with A = peak · (e / (α β))^α.
  const double amplitude = input.peak * std::pow(std::exp(1.0) / (input.shape * input.scale), input.shape);
  const double expected = amplitude * std::pow(input.scale, input.shape + 1.0) * std::tgamma(input.shape + 1.0);
  EXPECT_NEAR(area / expected, 1.0, 1e-4);
}

TEST(BolusConvolution, AgreesWithADirectConvolution) {
  const ArterialInput input;
  const auto times = every(3.7, 75.0);
  BolusConvolution convolution(input, times.back());
  for (Residue residue : residues)
    for (double dispersion : {0.0, 1.5}) {
      const Kinetics k{40.0, 5.3, 2.37, dispersion, residue};
      std::vector<double> curve(times.size());
      convolution.tissue(k, tissue_factor, times, curve);
      const auto expected = direct_convolution(input, k, times);
      const double peak = *std::max_element(expected.begin(), expected.end());
      // Linear interpolation on the 0.1 s grid is good to 3e-4 of the peak, the brute force to about 1e-4.
      for (std::size_t i = 0; i < times.size(); ++i)
        EXPECT_NEAR(curve[i], expected[i], 1e-3 * peak)
            << "residue " << static_cast<int>(residue) << ", dispersion " << dispersion << ", t = " << times[i];
    }
}

TEST(BolusConvolution, ObeysTheCentralVolumeTheorem) {
  ArterialInput input;
  input.tail = 0.0;  // so that both curves end within the window
  const auto times = every(0.1, 200.0);
  BolusConvolution convolution(input, times.back());
  double input_area = 0.0;
  for (double t : times) input_area += 0.1 * input.at(t);
  for (Residue residue : residues) {
    const Kinetics k{53.0, 3.74, 6.0, 1.0, residue};
    std::vector<double> curve(times.size());
    convolution.tissue(k, tissue_factor, times, curve);
    const double area = 0.1 * std::accumulate(curve.begin(), curve.end(), 0.0);
    const double cbv = 100.0 / tissue_factor * area / input_area;
    // Sums over 0.1 s of curves that are smooth over seconds: 0.1 % leaves room for the interpolation.
    EXPECT_NEAR(cbv / (k.cbf * k.mtt / 60.0), 1.0, 1e-3) << "residue " << static_cast<int>(residue);
  }
}

TEST(BolusConvolution, DelayShiftsTheCurveByFractionsOfASample) {
  const ArterialInput input;
  const auto times = every(0.5, 60.0);
  std::vector<double> later = times;
  for (double& t : later) t += 1.234;
  BolusConvolution convolution(input, later.back());
  std::vector<double> still(times.size());
  std::vector<double> delayed(times.size());
  convolution.tissue({40.0, 4.0, 0.0, 0.0, Residue::exponential}, tissue_factor, times, still);
  convolution.tissue({40.0, 4.0, 1.234, 0.0, Residue::exponential}, tissue_factor, later, delayed);
  for (std::size_t i = 0; i < times.size(); ++i) EXPECT_NEAR(delayed[i], still[i], 1e-9);
}

TEST(BolusConvolution, VenousBloodKeepsTheAreaAndComesLater) {
  ArterialInput input;
  input.tail = 0.0;
  const auto times = every(0.1, 200.0);
  BolusConvolution convolution(input, times.back());
  std::vector<double> curve(times.size());
  convolution.vein(4.0, 3.0, times, curve);
  double area = 0.0, moment = 0.0, input_area = 0.0, input_moment = 0.0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    area += curve[i];
    moment += curve[i] * times[i];
    input_area += input.at(times[i]);
    input_moment += input.at(times[i]) * times[i];
  }
  EXPECT_NEAR(area / input_area, 1.0, 1e-3);
  // Mean transit times add: 4 s of exponential transit and 3 s of delay.
  EXPECT_NEAR(moment / area - input_moment / input_area, 7.0, 0.01);
}

TEST(TimeToMaximum, IsTheDelayWithoutDispersion) {
  for (Residue residue : residues) EXPECT_EQ(time_to_maximum({30.0, 6.0, 3.21, 0.0, residue}), 3.21);
}

TEST(TimeToMaximum, OfADispersedExponentialIsTheClosedForm) {
  for (double tau : {0.5, 1.0, 3.0}) {
    const double mtt = 8.0;
    const double exact = mtt * tau / (mtt - tau) * std::log(mtt / tau);
    // The grid is 0.25 s: off by half of it and a little where two points are nearly as high.
    EXPECT_NEAR(time_to_maximum({30.0, mtt, 2.0, tau, Residue::exponential}), 2.0 + exact, 0.15) << tau;
  }
}

TEST(TimeToMaximum, OfADispersedBoxIsItsEnd) {
  EXPECT_NEAR(time_to_maximum({30.0, 5.0, 1.0, 1.0, Residue::box}), 6.0, 0.25);
}

}  // namespace
}  // namespace perfpipe
