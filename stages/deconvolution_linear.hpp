// Deconvolutions that are one matrix for all voxels: k = operator · c.
#pragma once

#include "model/gpu/linear_slab.hpp"
#include "stages/deconvolution.hpp"
#include "stages/singular_system.hpp"

#include <span>
#include <vector>

namespace perfpipe {

/// k = Σ gains[i] · rightᵀ[i] (left[i] · c): truncated SVD and Tikhonov with a fixed weight. Where few gains are not
/// zero the two thin products cost less than the matrix: N = 70, L = 140 and 31 vectors are 6,510 multiply-adds for a
/// voxel instead of 9,800.
class LinearDeconvolution final : public Deconvolution {
 public:
  /// Throws InputError if the AIF is so small that the operator is beyond a float.
  LinearDeconvolution(const SingularSystem& system, std::span<const double> gains);
  void solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const override;
  /// Number of gains that are not 0.
  std::int64_t rank() const { return rank_; }
  /// For model/linear_cuda.hpp; points into this object.
  gpu::LinearOperator for_gpu(const ParameterScale& scale) const;

 private:
  std::int64_t rank_ = 0;
  std::vector<float> first_;   // [rank, N], or the whole operator [L, N]
  std::vector<float> second_;  // [L, rank], or nothing
};

/// 1/σ where σ >= threshold · σmax, else 0 (with a margin of 1e-12, so that the two equal values of a wave's cosine and
/// sine are kept or cut together).
std::vector<double> truncated_gains(const SingularSystem& system, double threshold);

/// σ/(σ² + μ²).
std::vector<double> tikhonov_gains(const SingularSystem& system, double mu);

/// bSVD, also called cSVD (Wu et al., Magn Reson Med 50:164, 2003): block-circulant A of 2N samples, truncated SVD.
/// K_f = C_f / (Δt A_f) where |A_f| >= threshold · max|A|, else 0. Does not depend on a delay of the tissue.
LinearDeconvolution bsvd(std::span<const float> aif, double dt, double threshold);

/// sSVD (Ostergaard et al., Magn Reson Med 36:715, 1996): lower-triangular A, truncated SVD. Where tissue is ahead of
/// the artery it finds too little flow: its k cannot begin before 0.
LinearDeconvolution ssvd(std::span<const float> aif, double dt, double threshold);

/// (a[i-1] + 4 a[i] + a[i+1]) / 6, which Ostergaard et al. apply to the AIF; its ends count twice.
std::vector<float> smoothed(std::span<const float> aif);

}  // namespace perfpipe
