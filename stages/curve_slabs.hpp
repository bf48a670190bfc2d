// The tissue curves of a series in the store, slab by slab.
#pragma once

#include "core/arrays.hpp"
#include "core/parallel.hpp"
#include "core/slabs.hpp"
#include "core/stage.hpp"
#include "stages/brain_mask.hpp"
#include "stages/largest_curves.hpp"

#include <algorithm>
#include <span>
#include <vector>

namespace perfpipe {

/// What one pass over a series leaves.
struct Survey {
  std::vector<double> sum;  ///< of all curves inside the brain, one for each sample
  Candidates candidates;
};

/// The tissue curves of a series, by slabs.
class CurveSlabs {
 public:
  CurveSlabs(StageContext& context, const ArtifactReader& tissue)
      : tissue_(tissue), dims_(tissue.dims("tissue_curves")), threads_(context.job().threads) {
    step_ = context.slab_slices(dims_[1] * dims_[2] * dims_[3] * static_cast<std::int64_t>(sizeof(float)));
  }
  std::int64_t samples() const { return dims_[3]; }
  Extent extent() const { return {dims_[0], dims_[1], dims_[2]}; }

  /// Of the voxels that are `chosen` the `share` with the largest areas under their curves, all above 0; `brain` as
  /// well counts for the sum. One pass.
  Survey largest(const std::vector<std::uint8_t>& brain, const std::vector<std::uint8_t>& chosen, double share) const {
    const auto there = std::count_if(chosen.begin(), chosen.end(), [](auto flag) { return flag != 0; });
    LargestCurves largest(static_cast<std::size_t>(share * static_cast<double>(there)), samples());
    auto sum = pass(brain, [&](std::int64_t voxel, std::span<const float> curve, float area) {
      if (chosen[static_cast<std::size_t>(voxel)] != 0) largest.meet(voxel, curve, area);
    });
    return {std::move(sum), largest.take()};
  }

  /// The curves of all voxels that are `chosen`. One pass.
  Survey all(const std::vector<std::uint8_t>& brain, const std::vector<std::uint8_t>& chosen) const {
    Survey survey;
    survey.sum = pass(brain, [&](std::int64_t voxel, std::span<const float> curve, float) {
      if (chosen[static_cast<std::size_t>(voxel)] == 0) return;
      survey.candidates.where.push_back(voxel);
      survey.candidates.curves.insert(survey.candidates.curves.end(), curve.begin(), curve.end());
    });
    return survey;
  }

 private:
  /// Calls visit(voxel, curve, area) for every voxel inside; returns the sum of their curves.
  template <class Visit>
  std::vector<double> pass(const std::vector<std::uint8_t>& inside, const Visit& visit) const {
    const std::int64_t plane = dims_[1] * dims_[2];
    std::vector<double> total(static_cast<std::size_t>(samples()), 0.0);
    std::vector<float> areas;
    const auto read = [&](std::int64_t z, std::int64_t count) {
      return tissue_.read_slices("tissue_curves", z, count);
    };
    for_each_slab(dims_[0], step_, threads_, read, [&](std::int64_t z, std::int64_t count, const Slices& slab) {
      const auto curve_of = [&](std::size_t v) {
        const auto length = static_cast<std::size_t>(samples());
        return std::span(slab).subspan(v * length, length);
      };
      const auto flags =
          std::span(inside).subspan(static_cast<std::size_t>(z * plane), static_cast<std::size_t>(count * plane));
      areas.resize(flags.size());
      parallel_sums(flags.size(), static_cast<std::size_t>(plane), threads_, total,
                    [&](std::size_t begin, std::size_t end, std::span<double> sums) {
                      for (std::size_t v = begin; v < end; ++v) {
                        if (flags[v] == 0) continue;
                        const auto curve = curve_of(v);
                        areas[v] = curve_area(curve);
                        add_to(sums, curve);
                      }
                    });
      for (std::size_t v = 0; v < flags.size(); ++v)
        if (flags[v] != 0) visit(z * plane + static_cast<std::int64_t>(v), curve_of(v), areas[v]);
    });
    return total;
  }

  const ArtifactReader& tissue_;
  std::vector<std::int64_t> dims_;
  int threads_;
  std::int64_t step_ = 1;
};

}  // namespace perfpipe
