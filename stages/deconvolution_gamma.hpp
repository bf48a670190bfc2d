// Deconvolution of the first passages alone, as gamma-variates.
#pragma once

#include "stages/deconvolution_linear.hpp"

#include <span>

namespace perfpipe {

/// The tissue curve and the AIF are replaced by gamma-variates fitted to their first passages (without recirculation
/// and without noise; Thompson et al., Circ Res 14:502, 1964), then deconvolved by bSVD. Where a curve has no positive
/// peak all parameters are 0. Extra map: the fitted arrival of the bolus in s from the first sample.
class GammaVariateDeconvolution final : public Deconvolution {
 public:
  /// Throws InputError if the AIF has no positive peak.
  GammaVariateDeconvolution(std::span<const float> aif, double dt, double threshold);
  void solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const override;
  static std::vector<ExtraMap> extra_maps() { return {{"arrival", "s", "arrival of the bolus in the tissue"}}; }

 private:
  LinearDeconvolution fitted_;
};

}  // namespace perfpipe
