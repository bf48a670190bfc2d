// Curves with known perfusion, and their deconvolution, for the tests of the methods.
#pragma once

#include "core/random.hpp"
#include "stages/deconvolution.hpp"
#include "stages/phantom_curves.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace perfpipe {

using Values = std::vector<float>;
inline constexpr std::int64_t curve_samples = 70;

/// AIF of METHODS section 4: t³ exp(-t/1.5), arriving at 10 s.
inline double arterial(double t) { return t > 10.0 ? std::pow(t - 10.0, 3.0) * std::exp(-(t - 10.0) / 1.5) : 0.0; }

inline Values arterial_curve(double dt = 1.0, std::int64_t samples = curve_samples) {
  Values aif;
  for (int i = 0; i < samples; ++i) aif.push_back(static_cast<float>(arterial(i * dt)));
  return aif;
}

/// Tissue curve at 0, Δt, ...: the rectangle rule on a grid of `step` s, for kH and ρ of the defaults.
inline Values tissue_curve(Residue residue, double cbf, double mtt, double delay, double step = 0.1, double dt = 1.0,
                           std::int64_t samples = curve_samples) {
  Values curve;
  for (int i = 0; i < samples; ++i) {
    double sum = 0.0;
    for (int j = 0; j * step <= i * dt + 1e-9; ++j)
      sum += step * arterial(i * dt - delay - j * step) * residue_function(residue, mtt, j * step);
    curve.push_back(static_cast<float>(cbf / 6000.0 * 1.04 / 0.73 * sum));
  }
  return curve;
}

inline Values noisy(Values curve, double sd, Random& random) {
  for (float& c : curve) c = static_cast<float>(c + sd * random.normal());
  return curve;
}

inline Values scaled(Values values, float factor) {
  for (float& x : values) x *= factor;
  return values;
}

struct Maps {
  std::array<Values, 4> values;
  std::vector<Values> extras;
  Values residues;  // [n, L]
  std::int64_t negative = 0;
  float cbf() const { return values[0][0]; }
  float cbv() const { return values[1][0]; }
  float mtt() const { return values[2][0]; }
  float tmax() const { return values[3][0]; }
};

inline Maps deconvolved(const Deconvolution& method, const Values& curves, std::size_t extras = 0, int threads = 1,
                        bool subsample = false) {
  Maps maps;
  const std::size_t n = curves.size() / static_cast<std::size_t>(method.samples());
  for (auto& map : maps.values) map.assign(n, -1.0f);
  maps.extras.assign(extras, Values(n, -1.0f));
  maps.residues.assign(n * static_cast<std::size_t>(method.length()), -1.0f);
  ParameterScale scale;
  scale.subsample_tmax = subsample;
  maps.negative = deconvolve(method, curves, {}, n, scale, threads,
                             {{maps.values[0], maps.values[1], maps.values[2], maps.values[3]},
                              {maps.extras.begin(), maps.extras.end()},
                              maps.residues});
  return maps;
}

}  // namespace perfpipe
