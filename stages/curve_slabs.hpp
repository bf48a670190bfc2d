// The tissue curves of a series in the store, slab by slab.
#pragma once

#include "core/stage.hpp"
#include "stages/aif_search.hpp"
#include "stages/brain_mask.hpp"

#include <algorithm>
#include <span>
#include <vector>

namespace perfpipe {

/// Curves of some voxels, and where they are.
struct Candidates {
  std::vector<float> curves;        // [n, samples]
  std::vector<std::int64_t> where;  // (z · ny + y) · nx + x
};

/// The tissue curves of a series, by slabs.
class CurveSlabs {
 public:
  CurveSlabs(StageContext& context, const ArtifactReader& tissue)
      : tissue_(tissue), dims_(tissue.dims("tissue_curves")) {
    step_ = context.slab_slices(dims_[1] * dims_[2] * dims_[3] * static_cast<std::int64_t>(sizeof(float)));
  }
  std::int64_t samples() const { return dims_[3]; }
  Extent extent() const { return {dims_[0], dims_[1], dims_[2]}; }

  /// Calls visit(voxel, curve) for every voxel whose flag is not 0.
  template <class Visit>
  void for_each(const std::vector<std::uint8_t>& inside, const Visit& visit) const {
    const std::int64_t plane = dims_[1] * dims_[2];
    for (std::int64_t z = 0; z < dims_[0]; z += step_) {
      const auto slab = tissue_.read_slab<float>("tissue_curves", z, std::min(step_, dims_[0] - z));
      for (std::int64_t v = 0; v < static_cast<std::int64_t>(slab.size()) / samples(); ++v)
        if (inside[static_cast<std::size_t>(z * plane + v)] != 0)
          visit(z * plane + v, std::span<const float>(slab).subspan(static_cast<std::size_t>(v * samples()),
                                                                    static_cast<std::size_t>(samples())));
    }
  }

  /// Of the voxels inside those with the largest areas under their curves, `share` of them, all above 0.
  Candidates largest(const std::vector<std::uint8_t>& inside, double share) const {
    std::vector<float> areas;
    for_each(inside, [&](std::int64_t, std::span<const float> curve) { areas.push_back(curve_area(curve)); });
    const float least = least_candidate_area(areas, share);
    Candidates found;
    std::size_t next = 0;
    for_each(inside, [&](std::int64_t voxel, std::span<const float> curve) {
      if (areas[next++] < least) return;
      found.where.push_back(voxel);
      found.curves.insert(found.curves.end(), curve.begin(), curve.end());
    });
    return found;
  }

 private:
  const ArtifactReader& tissue_;
  std::vector<std::int64_t> dims_;
  std::int64_t step_ = 1;
};

/// Mean curve of these rows.
inline std::vector<float> mean_of(const Candidates& candidates, const std::vector<std::int64_t>& rows,
                                  std::int64_t samples) {
  std::vector<double> sum(static_cast<std::size_t>(samples), 0.0);
  for (auto row : rows)
    for (std::int64_t t = 0; t < samples; ++t)
      sum[static_cast<std::size_t>(t)] += candidates.curves[static_cast<std::size_t>(row * samples + t)];
  std::vector<float> mean;
  for (double x : sum)
    mean.push_back(static_cast<float>(x / static_cast<double>(std::max<std::size_t>(rows.size(), 1))));
  return mean;
}

}  // namespace perfpipe
