// The 3×3 neighbourhood of a voxel, in its slice: the one place that says what lies beyond the border.
#pragma once

#include <array>
#include <cstdint>

namespace perfpipe {

/// Place in a slice of the nine patch positions (y-major, centre 4) of the voxel (y, x); -1 beyond the image. There,
/// and outside the brain mask, the concentration is zero in training and in every inference engine: no tissue, no
/// contrast. (The dataset tissue_curves is zero outside the mask, which the reference engine and training rely on; the
/// dense engine does not look at curves outside.)
inline std::array<std::int64_t, 9> patch_positions_of(std::int64_t y, std::int64_t x, std::int64_t ny,
                                                      std::int64_t nx) {
  std::array<std::int64_t, 9> places{};
  std::size_t i = 0;
  for (std::int64_t dy = -1; dy <= 1; ++dy)
    for (std::int64_t dx = -1; dx <= 1; ++dx) {
      const bool inside = y + dy >= 0 && y + dy < ny && x + dx >= 0 && x + dx < nx;
      places[i++] = inside ? (y + dy) * nx + x + dx : -1;
    }
  return places;
}

}  // namespace perfpipe
