// A brain mask from a baseline image.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// Voxels in z, y, x; arrays are in that order, x fastest.
using Extent = std::array<std::int64_t, 3>;

/// Otsu's threshold (IEEE Trans. SMC 9:62, 1979) of the finite values, from a histogram of 256 classes.
float otsu_threshold(std::span<const float> image);

/// Keeps the largest component (6-neighbours; of equal ones the first in memory) of the voxels that are not 0.
void keep_largest_component(std::vector<std::uint8_t>& mask, const Extent& extent);

/// Fills what cannot be reached from the border of its own slice (4-neighbours): ventricles, dark vessels.
void fill_holes(std::vector<std::uint8_t>& mask, const Extent& extent);

/// Mean baseline image (z, y, x) of MR -> mask: above Otsu's threshold; the largest component, filled.
std::vector<std::uint8_t> compute_brain_mask(std::span<const float> baseline, const Extent& extent);

/// Mean baseline image of CT in HU -> mask: what of the soft tissue lies inside the skull. Scalp, muscle and the table
/// are soft tissue too, and hang together with the brain through sutures and the skull base: the image is smoothed,
/// its soft tissue eroded by 3 mm in the plane, the largest component kept, grown back and filled. `in_plane_mm` is
/// the edge of a voxel; where it is above 6 mm nothing is eroded.
std::vector<std::uint8_t> compute_ct_brain_mask(std::span<const float> baseline, const Extent& extent,
                                                double in_plane_mm);

}  // namespace perfpipe
