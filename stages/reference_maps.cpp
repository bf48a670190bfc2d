#include "stages/reference_maps.hpp"

#include "core/parallel.hpp"
#include "model/patches.hpp"

#include <algorithm>

namespace perfpipe {

std::vector<float> reference_maps(const ReferenceEngine& engine, const CurveSlab& slab, std::span<const float> aif,
                                  int threads) {
  const std::int64_t plane = slab.ny * slab.nx, slices = static_cast<std::int64_t>(slab.inside.size()) / plane;
  std::vector<float> map(slab.inside.size(), 0.0f);
  for (std::int64_t z = 0; z < slices; ++z) {
    // Row 0 is zero: what lies beyond the image.
    std::vector<float> curves(static_cast<std::size_t>((plane + 1) * curve_samples), 0.0f);
    std::copy_n(slab.curves.begin() + z * plane * curve_samples, plane * curve_samples, curves.begin() + curve_samples);
    std::vector<std::size_t> voxels;
    std::vector<std::int32_t> neighbours;
    for (std::int64_t v = 0; v < plane; ++v) {
      if (slab.inside[static_cast<std::size_t>(z * plane + v)] == 0) continue;
      voxels.push_back(static_cast<std::size_t>(z * plane + v));
      for (std::int64_t place : patch_positions_of(v / slab.nx, v % slab.nx, slab.ny, slab.nx))
        neighbours.push_back(static_cast<std::int32_t>(place + 1));
    }
    parallel_blocks(voxels.size(), 8 * inference_block, threads, [&](std::size_t begin, std::size_t end) {
      const auto estimates = engine.estimate(curves, {neighbours.data() + begin * 9, (end - begin) * 9}, aif);
      for (std::size_t i = begin; i < end; ++i) map[voxels[i]] = estimates[i - begin];
    });
  }
  return map;
}

}  // namespace perfpipe
