// Gaussian prior on the residue function and its marginal likelihood: what the Gaussian-process and Bayesian methods
// share.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace perfpipe {

/// Covariance of k at two times after its start, in s, up to a factor that the data decide.
using Covariance = std::function<double(double, double)>;

/// Matérn covariance of order 3/2: once differentiable functions of the length scale `scale` s.
double matern(double distance, double scale);

/// C = Δt A k + noise of variance σ², k ~ N(0, σ² g K/e), where e is the largest eigenvalue of Δt A K Aᵀ Δt, so that g
/// is the variance of the best-seen component of the signal over the noise's. In the eigenvectors u_i of that matrix,
/// with eigenvalues e e_i, the marginal covariance of C is diagonal: σ² (1 + g e_i).
struct GaussianModel {
  std::int64_t samples = 0;         ///< N
  std::vector<double> eigenvalues;  ///< e_i [N], the largest 1
  std::vector<double> vectors;      ///< u_i [N, N], one a row
  std::vector<double> back;         ///< [N, N], one u_i a column: k = Σ_i back[·, i] g/(1 + g e_i) (u_i · C)
  std::vector<double> covariance;   ///< K/e [N, N], of k in 1/s
};

/// Of an AIF [N] whose tissue starts `lag` samples later: A[i, j] = a[i - j - lag]. Beyond its end the AIF holds its
/// last value (a negative lag asks for that). `K` is evaluated at j Δt. Throws InputError if the AIF is zero.
GaussianModel gaussian_model(std::span<const float> aif, double dt, std::int64_t lag, const Covariance& covariance);

/// log p(C | K, g) up to a constant, the noise variance integrated out with the prior 1/σ²:
/// -N/2 log Q - 1/2 Σ log(1 + g e_i), Q = Σ (u_i · C)² / (1 + g e_i).
double log_evidence(double quadratic, double log_determinant, std::int64_t samples);

/// 1 + g e_i for each strength g and vector, and Σ log(1 + g e_i).
struct NoiseWeights {
  std::vector<double> inverse;          ///< 1/(1 + g e_i), [strengths, N]
  std::vector<double> log_determinant;  ///< [strengths]
};
NoiseWeights noise_weights(const GaussianModel& model, std::span<const double> strengths);

}  // namespace perfpipe
