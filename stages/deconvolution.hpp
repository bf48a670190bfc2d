// Deconvolution of tissue curves by the arterial input function: C = Δt · A k, k(t) = CBF · R(t).
#pragma once

#include "core/parameters.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// A linear deconvolution as a matrix: k = operator · c.
struct DeconvolutionOperator {
  std::int64_t samples = 0;   ///< N, of the tissue curve
  std::int64_t length = 0;    ///< L, of the residue function
  double dt = 1.0;            ///< s
  std::vector<float> matrix;  ///< [L, N]
};

/// bSVD (Wu et al., Magn Reson Med 50:164, 2003): block-circulant A of L = 2N samples, truncated SVD. A circulant
/// matrix is normal, so its singular values are the magnitudes of the AIF's Fourier coefficients and the truncated
/// inverse is exactly K_f = C_f / (Δt A_f) where |A_f| >= threshold · max|A|, else 0. Computed in double. `aif` [N];
/// throws InputError if it is all zero, not finite, or too small for the inverse to be a float.
DeconvolutionOperator bsvd_operator(std::span<const float> aif, double dt, double threshold);

/// What turns residue functions into parameters.
struct ParameterScale {
  double hematocrit_factor = 0.73;  ///< kH = (1 - Hct_large) / (1 - Hct_small), CAPLEX Q.PH1.013
  double density = 1.04;            ///< brain tissue, g/ml
  bool subsample_tmax = false;      ///< parabola through the three samples around the maximum
};

/// CBF, CBV, MTT, Tmax by parameter index, from one scaled residue function k [L]:
/// CBF = 6000 (kH/ρ) max k in ml/100g/min, CBV = 100 (kH/ρ) Δt Σk in ml/100g, MTT = 60 CBV/CBF = Δt Σk / max k in s,
/// Tmax = Δt argmax k in s. k stays signed (clipping it biases MTT). Where argmax >= N the delay is negative: Tmax 0,
/// and `negative_delay` is set. Without a positive value, and where a result is beyond a float, all four are 0.
struct VoxelParameters {
  std::array<float, 4> value{};
  bool negative_delay = false;
};
VoxelParameters residue_parameters(std::span<const float> residue, std::int64_t samples, double dt,
                                   const ParameterScale& scale);

/// Deconvolves `curves` [n, N]; writes each parameter's map [n]. All voxels of a fixed block go through one matrix
/// product; the bits do not depend on n, on the place in `curves` or on `threads`. Returns the number of negative
/// delays.
std::int64_t deconvolve(const DeconvolutionOperator& op, std::span<const float> curves, const ParameterScale& scale,
                        int threads, const std::array<std::span<float>, 4>& maps);

}  // namespace perfpipe
