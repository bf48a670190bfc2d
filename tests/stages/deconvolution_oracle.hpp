// What the comparisons with dense oracles share: curves, matrices in double, the tolerance.
#pragma once

#include "tests/stages/deconvolution_curves.hpp"
#include "tests/stages/dense_algebra.hpp"

#include <string>

#include <gtest/gtest.h>

namespace perfpipe::oracle {

inline constexpr std::size_t n = curve_samples;
/// Of the largest value of k: the program works in float32, 6e-8 relative for each of some hundred terms that partly
/// cancel.
inline constexpr double tolerance = 1e-4;

/// Noisy and noise-free curves of all residue functions; peaks 0.1 to 0.5.
inline std::vector<Values> test_curves() {
  Random random(11, "oracle");
  std::vector<Values> curves;
  for (auto residue : {Residue::exponential, Residue::linear, Residue::box, Residue::gamma})
    for (const double delay : {0.0, 3.0}) {
      const auto clean = tissue_curve(residue, 20.0 + 10.0 * delay, 4.0 + delay, delay);
      curves.push_back(clean);
      curves.push_back(noisy(clean, 0.02, random));
      curves.push_back(noisy(clean, 0.1, random));
    }
  return curves;
}

inline Values joined(const std::vector<Values>& curves) {
  Values all;
  for (const auto& curve : curves) all.insert(all.end(), curve.begin(), curve.end());
  return all;
}

inline Matrix toeplitz(const Values& aif, double dt, std::size_t size, std::int64_t lag = 0) {
  Matrix a(size * size, 0.0);
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t j = 0; j < size; ++j) {
      const auto t = static_cast<std::int64_t>(i) - static_cast<std::int64_t>(j) - lag;
      if (t >= 0) a[i * size + j] = dt * aif[static_cast<std::size_t>(std::min<std::int64_t>(t, n - 1))];
    }
  return a;
}

inline Matrix circulant(const Values& aif, double dt, std::size_t length) {
  Matrix a(length * length, 0.0);
  for (std::size_t j = 0; j < length; ++j)
    for (std::size_t t = 0; t < n; ++t) a[(j + t) % length * length + j] = dt * aif[t];
  return a;
}

inline std::vector<double> padded(const Values& curve, std::size_t length) {
  std::vector<double> result(curve.begin(), curve.end());
  result.resize(length, 0.0);
  return result;
}

inline void expect_residue(const std::vector<double>& expected, const Maps& found, std::size_t voxel,
                           const std::string& what) {
  double size = 0.0, difference = 0.0;
  for (std::size_t t = 0; t < expected.size(); ++t) {
    size = std::max(size, std::abs(expected[t]));
    difference = std::max(difference, std::abs(expected[t] - found.residues[voxel * expected.size() + t]));
  }
  EXPECT_LE(difference, tolerance * size) << what << ", curve " << voxel;
}

}  // namespace perfpipe::oracle
