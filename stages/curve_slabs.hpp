// The tissue curves of a series in the store, slab by slab.
#pragma once

#include "core/parallel.hpp"
#include "core/slabs.hpp"
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

/// The tissue curves of a series, by slabs. A series that fits into one of parallel.slab_memory is read once, however
/// many passes there are.
class CurveSlabs {
 public:
  CurveSlabs(StageContext& context, const ArtifactReader& tissue)
      : tissue_(tissue), dims_(tissue.dims("tissue_curves")), threads_(context.job().threads) {
    const std::int64_t slice = dims_[1] * dims_[2] * dims_[3] * static_cast<std::int64_t>(sizeof(float));
    step_ = context.slab_slices(slice);
    keeps_ = dims_[0] * slice <= static_cast<std::int64_t>(context.job().slab_bytes);
  }
  std::int64_t samples() const { return dims_[3]; }
  Extent extent() const { return {dims_[0], dims_[1], dims_[2]}; }

  /// Calls visit(voxel, curve) for every voxel whose flag is not 0.
  template <class Visit>
  void for_each(const std::vector<std::uint8_t>& inside, const Visit& visit) const {
    const std::int64_t plane = dims_[1] * dims_[2];
    for_slabs([&](std::int64_t z, std::int64_t count, const RawValues<float>& slab) {
      for (std::int64_t v = 0; v < count * plane; ++v)
        if (inside[static_cast<std::size_t>(z * plane + v)] != 0) visit(z * plane + v, curve_in(slab, v));
    });
  }

  /// Sum over the voxels whose flag is not 0, one for each sample.
  std::vector<double> sum(const std::vector<std::uint8_t>& inside) const {
    const std::int64_t plane = dims_[1] * dims_[2];
    std::vector<double> total(static_cast<std::size_t>(samples()), 0.0);
    for_slabs([&](std::int64_t z, std::int64_t count, const RawValues<float>& slab) {
      parallel_sums(static_cast<std::size_t>(count * plane), static_cast<std::size_t>(plane), threads_, total,
                    [&](std::size_t begin, std::size_t end, std::span<double> sums) {
                      for (std::size_t v = begin; v < end; ++v) {
                        if (inside[static_cast<std::size_t>(z * plane) + v] == 0) continue;
                        const auto curve = curve_in(slab, static_cast<std::int64_t>(v));
                        for (std::size_t t = 0; t < sums.size(); ++t) sums[t] += curve[t];
                      }
                    });
    });
    return total;
  }

  /// Of the voxels inside those with the largest areas under their curves, `share` of them, all above 0.
  Candidates largest(const std::vector<std::uint8_t>& inside, double share) const {
    const std::int64_t plane = dims_[1] * dims_[2];
    std::vector<float> areas;  // of the voxels inside, in their order
    for_slabs([&](std::int64_t z, std::int64_t count, const RawValues<float>& slab) {
      std::vector<float> of_slab(static_cast<std::size_t>(count * plane));
      parallel_blocks(of_slab.size(), 4096, threads_, [&](std::size_t begin, std::size_t end) {
        for (std::size_t v = begin; v < end; ++v)
          if (inside[static_cast<std::size_t>(z * plane) + v] != 0)
            of_slab[v] = curve_area(curve_in(slab, static_cast<std::int64_t>(v)));
      });
      for (std::size_t v = 0; v < of_slab.size(); ++v)
        if (inside[static_cast<std::size_t>(z * plane) + v] != 0) areas.push_back(of_slab[v]);
    });
    // A series of 13 million voxels inside: every copy of their areas, or of the candidates, would be seen.
    const auto expected = static_cast<std::size_t>(share * static_cast<double>(areas.size())) + 16;
    const float least = least_candidate_area(std::move(areas), share);
    Candidates found;
    found.where.reserve(expected);
    found.curves.reserve(expected * static_cast<std::size_t>(samples()));
    for_slabs([&](std::int64_t z, std::int64_t count, const RawValues<float>& slab) {
      std::vector<std::uint8_t> large(static_cast<std::size_t>(count * plane), 0);
      parallel_blocks(large.size(), 4096, threads_, [&](std::size_t begin, std::size_t end) {
        for (std::size_t v = begin; v < end; ++v)
          large[v] = inside[static_cast<std::size_t>(z * plane) + v] != 0 &&
                     curve_area(curve_in(slab, static_cast<std::int64_t>(v))) >= least;
      });
      for (std::int64_t v = 0; v < count * plane; ++v) {
        if (large[static_cast<std::size_t>(v)] == 0) continue;
        const auto curve = curve_in(slab, v);
        found.where.push_back(z * plane + v);
        found.curves.insert(found.curves.end(), curve.begin(), curve.end());
      }
    });
    return found;
  }

 private:
  template <class Work>
  void for_slabs(const Work& work) const {
    if (!kept_.empty()) {
      std::int64_t z = 0;
      for (const auto& slab : kept_) {
        work(z, std::min(step_, dims_[0] - z), slab);
        z += step_;
      }
      return;
    }
    const auto read = [&](std::int64_t z, std::int64_t count) {
      return tissue_.read_slab<float>("tissue_curves", z, count);
    };
    if (!keeps_) return for_each_slab(dims_[0], step_, threads_, read, work);
    kept_.reserve(static_cast<std::size_t>((dims_[0] + step_ - 1) / step_));
    for_each_slab(dims_[0], step_, threads_, read, [&](std::int64_t z, std::int64_t count, RawValues<float>& slab) {
      kept_.push_back(std::move(slab));
      work(z, count, kept_.back());
    });
  }
  std::span<const float> curve_in(const RawValues<float>& slab, std::int64_t voxel) const {
    return std::span<const float>(slab).subspan(static_cast<std::size_t>(voxel * samples()),
                                                static_cast<std::size_t>(samples()));
  }

  const ArtifactReader& tissue_;
  std::vector<std::int64_t> dims_;
  int threads_;
  std::int64_t step_ = 1;
  bool keeps_ = false;
  mutable std::vector<RawValues<float>> kept_;
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
