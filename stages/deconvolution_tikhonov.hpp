// Tikhonov regularisation with the weight chosen for each voxel by the L-curve. With a fixed weight it is linear:
// deconvolution_linear.hpp.
#pragma once

#include "stages/deconvolution.hpp"
#include "stages/singular_system.hpp"

#include <vector>

namespace perfpipe {

/// Weights μ/σmax that the L-curve is followed over, equally spaced in their logarithm. From 0.03 on: with noise the
/// curve bends once more at weights that hardly regularise, and from 0.001 on 39 % of the study's voxels at SNR 20 were
/// left there, with 390 ml/100g/min too much flow in the mean.
inline constexpr double l_curve_lowest = 0.03;
inline constexpr double l_curve_highest = 1.0;
inline constexpr std::size_t l_curve_points = 40;

/// k minimises ‖C - Δt A k‖² + μ²‖k‖² (Calamante et al., Magn Reson Med 50:1237, 2003): each singular value σ answers
/// with σ/(σ² + μ²). Of the weights above that one is taken at which (log ‖C - Δt A k‖, log ‖k‖) bends most. With η =
/// ‖k‖², ρ = ‖C - Δt A k‖² and η' = dη/dμ (and dρ/dμ = -μ²η') its curvature is
///   2 (2μ + μ²η'/η + μ⁴η'/ρ) / (|η'| ρ η (μ⁴/ρ² + 1/η²)^(3/2)).
/// Where it bends nowhere the right way (curves without noise) the smallest weight is taken. In double. Extra map:
/// μ/σmax.
class LCurveTikhonov final : public Deconvolution {
 public:
  explicit LCurveTikhonov(const SingularSystem& system);
  void solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const override;
  static std::vector<ExtraMap> extra_maps() {
    return {{"regularisation", "1", "weight of the Tikhonov term, as a share of the largest singular value"}};
  }

 private:
  std::vector<double> left_;   // [size, N]
  std::vector<double> right_;  // [L, size]
  std::vector<double> norms_;  // [3 · points, size]: what the squared coefficients add to ρ, η and η' at each weight
  std::vector<double> gains_;   // [points, size]
  std::vector<double> weight_;  // [points], μ/σmax
};

}  // namespace perfpipe
