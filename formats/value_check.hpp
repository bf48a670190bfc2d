// The rules about voxel values that a series must pass before any work is done (INPUTS: values).
#pragma once

#include "core/cohort.hpp"
#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace perfpipe {

/// HU that count as soft tissue. Brain has 20 to 45, blood to 60; air, fat and the 0 of images that were cut out or
/// defaced lie below, bone above.
inline constexpr float least_soft_tissue = 5.0f, most_soft_tissue = 90.0f;

struct ValueCheck {
  Findings findings;
  std::vector<std::string> warnings;
  std::int64_t mask_voxels = 0;  ///< voxels that were judged
  std::int64_t bad_voxels = 0;   ///< of these, voxels with a sample that cannot be used
};

/// Reads the series once, slab by slab within `memory_bytes`, and judges the voxels of its mask; without one, those
/// whose mean over time lies above Otsu's threshold of the mean image (CT: that of soft tissue).
///
/// A sample cannot be used if it is not finite or saturated, and for an MR signal also if it is zero or negative (no
/// logarithm; HU and concentrations may be). More than 1 % of voxels with such a sample warn, more than 50 % are an
/// error; so are a series that is constant and one without a bolus: the peak of the mask's mean concentration curve,
/// averaged over three frames (a passage lasts longer than one), stays under 3 SD of its baseline. The mean curve is
/// judged because among thousands of noisy voxels some always pass 3 SD by chance. A gzip'd series of more than one
/// slab is inflated once into a nameless file in `scratch`, if that is given.
/// The values of one that fits into one slab are kept for its import (formats/kept_series.hpp).
ValueCheck check_series_values(const Series& series, std::size_t memory_bytes = std::size_t{256} << 20,
                               const std::filesystem::path& scratch = {}, int threads = 1);

}  // namespace perfpipe
