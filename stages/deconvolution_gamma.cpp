#include "stages/deconvolution_gamma.hpp"

#include "core/error.hpp"
#include "stages/gamma_variate.hpp"

#include <algorithm>

namespace perfpipe {
namespace {

std::vector<float> fitted_aif(std::span<const float> aif, double dt) {
  const auto fit = fit_gamma_variate(aif, dt);
  if (!fit) throw InputError("the arterial input function has no positive peak: no gamma-variate can be fitted to it");
  std::vector<float> curve;
  for (std::size_t t = 0; t < aif.size(); ++t)
    curve.push_back(saturated_float(fit->curve.at(dt * static_cast<double>(t))));
  return curve;
}

}  // namespace

GammaVariateDeconvolution::GammaVariateDeconvolution(std::span<const float> aif, double dt, double threshold)
    : Deconvolution(static_cast<std::int64_t>(aif.size()), 2 * static_cast<std::int64_t>(aif.size()), dt),
      fitted_(bsvd(fitted_aif(aif, dt), dt, threshold)) {}

void GammaVariateDeconvolution::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  const auto n = static_cast<std::size_t>(samples());
  std::vector<float> passages(n * deconvolution_block, 0.0f), curve(n);
  for (std::size_t v = 0; v < deconvolution_block; ++v) {
    for (std::size_t t = 0; t < n; ++t) curve[t] = curves[t * deconvolution_block + v];
    const auto fit = fit_gamma_variate(curve, dt());
    if (!block.extras.empty()) block.extras[0][v] = fit ? saturated_float(fit->curve.arrival) : 0.0f;
    if (!fit) continue;
    for (std::size_t t = 0; t < n; ++t)
      passages[t * deconvolution_block + v] = saturated_float(fit->curve.at(dt() * static_cast<double>(t)));
  }
  fitted_.solve(passages.data(), scale, block);
}

}  // namespace perfpipe
