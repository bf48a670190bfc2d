// How good an arterial input function looks, and what of it should be doubted.
#pragma once

#include "stages/gamma_variate.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// Measures of an AIF. Times in s from the first sample.
struct AifQuality {
  double peak = 0.0;
  double time_to_peak = 0.0;
  double width = 0.0;           ///< full width at half maximum
  double roughness = 0.0;       ///< root mean square of the second differences, as a share of the peak
  double baseline_noise = 0.0;  ///< SD of the samples before the bolus arrives, as a share of the peak
  double plateau = 0.0;         ///< time above 95 % of the peak, as a share of the width: 0.26 of a gamma-variate
  double score = 0.0;           ///< peak / (width · time to peak): the higher the better, in one series
  std::optional<GammaVariateFit> fit;
};

/// `aif` has a positive value.
AifQuality aif_quality(std::span<const float> aif, double dt);

// Where an AIF is doubted.
inline constexpr double aif_wide = 15.0;   ///< s
inline constexpr double aif_noisy = 0.10;  ///< baseline noise
inline constexpr double aif_rough = 0.25;  ///< roughness
inline constexpr double aif_saturated_plateau = 0.45;

/// A sentence for each doubt: late (its peak is behind that of the mean curve of the brain, in s from the first
/// sample), wide, noisy, rough, saturated, cut off by the start or end of the series.
std::vector<std::string> aif_doubts(const AifQuality& quality, double duration, std::optional<double> mean_peak_time);

/// Rows of `curves` [n, samples] whose mean is the venous output function: of those that peak later than sample
/// `aif_peak` the vof_voxels with the largest area. Empty if none does.
std::vector<std::int64_t> venous_rows(std::span<const float> curves, std::int64_t samples, std::int64_t aif_peak);
inline constexpr std::size_t vof_voxels = 10;

}  // namespace perfpipe
