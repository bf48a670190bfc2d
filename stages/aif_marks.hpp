// Voxels that the user marks as arteries: by a mask or by a list.
#pragma once

#include "core/cohort.hpp"
#include "core/error.hpp"
#include "core/options.hpp"
#include "stages/brain_mask.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace perfpipe {

/// "masks/{}_artery.nii.gz" with the series' name in the place of {}.
std::filesystem::path for_series(std::string pattern, const Series& series);

/// Findings where aif.roi names no mask in the geometry of the series.
void check_roi(const std::string& roi, const Series& series, Findings& findings);
/// One flag a voxel, (z, y, x): where the mask is above 0.5.
std::vector<std::uint8_t> roi_flags(const std::string& roi, const Series& series, std::size_t voxels);

/// Findings where aif.voxels has none for the series, or some outside of it.
void check_voxels(const PointsByName& voxels, const Series& series, Findings& findings);
/// One flag a voxel, (z, y, x).
std::vector<std::uint8_t> voxel_flags(const PointsByName& voxels, const Series& series, const Extent& extent);

}  // namespace perfpipe
