// oSVD: truncation chosen for each voxel by how much its residue function oscillates.
#pragma once

#include "stages/deconvolution.hpp"
#include "stages/singular_system.hpp"

#include <cstdint>
#include <vector>

namespace perfpipe {

/// oSVD (Wu et al., Magn Reson Med 50:164, 2003): the threshold λ of the circulant truncated SVD is raised, from
/// `lowest` over every singular value, until the oscillation index
///   OI = (1/L) (1/max k) Σ_{j >= 2} |k_j - 2 k_{j-1} + k_{j-2}|
/// falls below `oscillation`. Extra map: the λ that was taken, as a share of the largest singular value.
class OscillationSvd final : public Deconvolution {
 public:
  /// `system` is circulant (L = 2N or N).
  OscillationSvd(const SingularSystem& system, double lowest, double oscillation);
  void solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const override;
  static std::vector<ExtraMap> extra_maps() {
    return {{"truncation", "1", "truncation threshold, as a share of the largest singular value"}};
  }

 private:
  float oscillation_;
  std::vector<std::int32_t> level_end_;  // vectors of the levels up to and with this one
  std::vector<float> level_threshold_;   // λ of each level
  std::vector<float> first_;             // [rank, N]
  std::vector<float> second_;            // [rank, L]
  std::vector<float> back_;              // the same, [L, rank]
};

}  // namespace perfpipe
