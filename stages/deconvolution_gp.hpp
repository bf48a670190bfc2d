// Deconvolution with a Gaussian process as prior of the residue function.
#pragma once

#include "stages/deconvolution.hpp"

#include <array>
#include <span>
#include <vector>

namespace perfpipe {

inline constexpr std::array gp_scales{2.0, 4.0, 8.0, 16.0};  ///< length scales of the Matérn covariance in s
inline constexpr std::array gp_strengths{1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0};  ///< g

/// After Andersen et al., Magn Reson Med 48:351 (2002): k = K Aᵀ (A K Aᵀ + σ² I)⁻¹ C, A lower triangular, with the
/// length scale and the ratio of signal to noise of largest marginal likelihood out of those above (gaussian_model.hpp
/// has the formulae; the covariance is Matérn's, which lets k rise faster than a squared exponential does). Extra map:
/// the length scale.
class GaussianProcess final : public Deconvolution {
 public:
  GaussianProcess(std::span<const float> aif, double dt);
  void solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const override;
  static std::vector<ExtraMap> extra_maps() { return {{"scale", "s", "length scale of the residue function's prior"}}; }

 private:
  struct Scale {
    std::vector<double> vectors;  // u_i [N, N]
    std::vector<double> inverse;  // [strengths, N]
    std::vector<double> penalty;  // [strengths], (Π(1 + g e_i))^(1/N): Q · penalty falls as the evidence rises
    std::vector<float> back;      // [N, N]
  };
  std::vector<Scale> scales_;
};

}  // namespace perfpipe
