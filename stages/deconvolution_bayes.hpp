// Bayesian deconvolution: a grid of delays, a prior of decaying residue functions, an average over all of them.
#pragma once

#include "stages/deconvolution.hpp"

#include <array>
#include <span>
#include <vector>

namespace perfpipe {

inline constexpr std::array bayes_scales{3.0, 6.0, 12.0, 24.0};                          ///< s
inline constexpr std::array bayes_strengths{1.0, 5.0, 25.0, 100.0, 500.0, 2500.0, 1e4};  ///< g of gaussian_model.hpp

/// In the manner of Boutelier et al., IEEE Trans Med Imaging 31:1381 (2012): for every delay of whole samples from
/// `delay_low` to `delay_high` s, length scale T and strength g above, k is a Gaussian process that starts at the delay
/// and decays with T, covariance exp(-(s + t)/T) · Matérn₃⸝₂(|s - t|, T). Its free start is what keeps the flow of a
/// delayed tissue. Each hypothesis counts by its marginal likelihood, the noise variance integrated out. Then, as
/// averages over hypotheses of (delay, T): CBF of max k̂, CBV of Σk̂ and Tmax of delay + argmax k̂, k̂ the posterior mean;
/// MTT = 60 CBV/CBF. Integer Tmax is the sample nearest to that average. L = 2N: negative times are in the second half.
///
/// Extra maps: ends of 95 % credible intervals of all four: of CBF, CBV and MTT from the average's mean and variance
/// (as if normal, and not below 0), of Tmax from its distribution. Chosen on 800 simulated curves (four residue
/// functions, dispersion, delays to 8 s): a covariance without the decay had twice the error of CBF at SNR 20, a random
/// walk thrice that of MTT.
class BayesianDeconvolution final : public Deconvolution {
 public:
  BayesianDeconvolution(std::span<const float> aif, double dt, double delay_low, double delay_high);
  void solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const override;
  static std::vector<ExtraMap> extra_maps();

 private:
  struct Hypothesis {
    std::int64_t lag = 0;
    std::vector<double> vectors;          // u_i [N, N]
    std::vector<double> inverse;          // 1/(1 + g e_i), [strengths, N]
    std::vector<double> log_determinant;  // [strengths]
    std::vector<float> back;              // [N, N]
    // Posterior (co)variances divided by the noise's, each [strengths, N]: of k(t), and of k(t) with Δt Σk; [strengths]
    // of Δt Σk.
    std::vector<float> variance, covariance;
    std::vector<double> area_variance;
  };
  struct Posterior;
  static Hypothesis hypothesis(std::span<const float> aif, double dt, std::int64_t lag, double scale);
  void solve_group(const float* curves, std::size_t first, const ParameterScale& scale, DeconvolvedBlock& block) const;
  void finish(const Posterior& posterior, const ParameterScale& scale, std::size_t voxel,
              DeconvolvedBlock& block) const;
  std::vector<Hypothesis> hypotheses_;
};

}  // namespace perfpipe
