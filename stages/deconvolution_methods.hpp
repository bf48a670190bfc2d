// The methods of deconvolution by their names in a job file.
#pragma once

#include "stages/deconvolution.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

struct DeconvolutionOptions {
  std::string method = "bsvd";
  double threshold = 0.0;                 ///< 0: the method's own, default_threshold()
  double oscillation = 0.035;             ///< osvd: limit of the oscillation index
  std::string length = "2N";              ///< osvd, circulant tikhonov: 2N or N
  std::string regularisation = "lcurve";  ///< tikhonov: lcurve or fixed
  std::string form = "circulant";         ///< tikhonov: circulant or standard
  bool smooth_aif = false;                ///< ssvd, dsvd
  double delay_low = -3.0;                ///< s; dsvd, bayes
  double delay_high = 15.0;               ///< s; dsvd, bayes
};

/// All but `file`, which deconvolves nothing.
std::vector<std::string> deconvolution_methods();

/// Truncation of a method whose options leave it at 0: bsvd, gamma_variate 0.1; ssvd, dsvd 0.2; osvd 0.01 (where it
/// starts); tikhonov 0.1 (μ/σmax, where it is fixed). 0 for methods without one.
double default_threshold(const std::string& method);

/// Sets a method up for one AIF [N] at `dt` s. Throws InputError where the AIF cannot be deconvolved by, or N is beyond
/// what dense matrices are made for (most_dense_samples; all methods but bsvd, osvd and gamma_variate).
std::unique_ptr<Deconvolution> make_deconvolution(const DeconvolutionOptions& options, std::span<const float> aif,
                                                  double dt);
inline constexpr std::size_t most_dense_samples = 400;

/// The maps that a method leaves beside the four.
std::vector<ExtraMap> extra_maps(const DeconvolutionOptions& options);

}  // namespace perfpipe
