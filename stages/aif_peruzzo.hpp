// The search for arteries of Peruzzo et al.: fixed shares are rejected, the rest is halved by clustering.
#pragma once

#include "stages/brain_mask.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

inline constexpr double peruzzo_major = 0.35;  ///< semi-axis of the central ellipse, share of the mask's extent in x
inline constexpr double peruzzo_minor = 0.15;  ///< and in y
inline constexpr double peruzzo_area_share = 0.40;   ///< rejected: the lowest areas
inline constexpr double peruzzo_late_share = 0.40;   ///< rejected of the rest: the latest times to peak
inline constexpr double peruzzo_rough_share = 0.05;  ///< rejected of the rest: the most irregular
inline constexpr double peruzzo_same_peak = 0.04;
inline constexpr std::size_t peruzzo_most_voxels = 6;
inline constexpr std::size_t peruzzo_least_voxels = 4;
/// Ward's clustering takes the square of their number: of more candidates those with the largest areas are clustered.
inline constexpr std::size_t peruzzo_most_candidates = 600;

/// Voxels of the mask within the central ellipse of their slice: around the middle of the mask's bounding box there,
/// with the semi-axes above. One flag a voxel, (z, y, x).
std::vector<std::uint8_t> central_ellipse(std::span<const std::uint8_t> mask, const Extent& extent);

/// Peruzzo et al., Comput Methods Programs Biomed 104:e148 (2011). `curves` [n, samples] are those of the central
/// ellipse. Rejects the 40 % lowest areas, then the 40 % latest times to peak, then the 5 % most irregular (Σ of
/// squared second differences of the unit-area curve); then Ward's clustering into two, again and again: the cluster
/// whose mean has the higher peak is kept, or the earlier one if the peaks differ by less than 4 %, until at most 6
/// voxels are left; a step that would leave fewer than 4 is not taken. Returns the rows whose mean is the AIF.
std::vector<std::int64_t> peruzzo_select(std::span<const float> curves, std::int64_t samples);

}  // namespace perfpipe
