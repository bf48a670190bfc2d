#include "stages/deconvolution_osvd.hpp"

#include "core/simd.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <limits>

namespace perfpipe {

constexpr std::size_t osvd_lanes = 16;  // voxels that go through the levels together

namespace simd {

/// Adds level after level to k [length, lanes] and notes for each lane the last level whose oscillation index is below
/// the limit. `coefficients` [rank, voxels] point at the first lane; `second` is [length, rank].
PERFPIPE_SIMD void last_smooth_level(const float* __restrict second, const float* __restrict coefficients,
                                     std::size_t length, std::size_t rank, std::size_t voxels,
                                     const std::int32_t* level_end, std::size_t levels, float limit,
                                     float* __restrict k, std::int32_t* __restrict chosen) {
  std::fill_n(k, length * osvd_lanes, 0.0f);
  std::fill_n(chosen, osvd_lanes, 0);
  std::size_t from = 0;
  for (std::size_t level = 0; level < levels; ++level) {
    const auto to = static_cast<std::size_t>(level_end[level]);
    float before[osvd_lanes] = {}, last[osvd_lanes] = {}, largest[osvd_lanes], bends[osvd_lanes] = {};
    std::fill_n(largest, osvd_lanes, -std::numeric_limits<float>::infinity());
    for (std::size_t t = 0; t < length; ++t) {
      float* const row = k + t * osvd_lanes;
      for (std::size_t i = from; i < to; ++i) {
        const float weight = second[t * rank + i];
        for (std::size_t v = 0; v < osvd_lanes; ++v) row[v] += weight * coefficients[i * voxels + v];
      }
      const float counts = t >= 2 ? 1.0f : 0.0f;
      for (std::size_t v = 0; v < osvd_lanes; ++v) {
        bends[v] += counts * std::abs(row[v] - 2.0f * last[v] + before[v]);
        largest[v] = row[v] > largest[v] ? row[v] : largest[v];
        before[v] = last[v];
        last[v] = row[v];
      }
    }
    for (std::size_t v = 0; v < osvd_lanes; ++v)
      chosen[v] = bends[v] < limit * largest[v] ? static_cast<std::int32_t>(level) : chosen[v];
    from = to;
  }
}

}  // namespace simd

OscillationSvd::OscillationSvd(const SingularSystem& system, double lowest, double oscillation)
    : Deconvolution(system.samples, system.length, system.dt),
      oscillation_(static_cast<float>(oscillation * static_cast<double>(system.length))) {
  const auto n = static_cast<std::size_t>(samples()), length = static_cast<std::size_t>(this->length());
  std::size_t rank = 0;
  while (rank < system.size() && system.values[rank] >= lowest * system.values.front()) {
    // A wave's cosine and sine have one singular value, and make one level.
    if (rank == 0 || system.values[rank] != system.values[rank - 1]) {
      level_threshold_.push_back(static_cast<float>(system.values[rank] / system.values.front()));
      level_end_.push_back(0);
    }
    level_end_.back() = static_cast<std::int32_t>(++rank);
  }
  first_.assign(system.left.begin(), system.left.begin() + static_cast<std::ptrdiff_t>(rank * n));
  for (std::size_t t = 0; t < length; ++t)
    for (std::size_t i = 0; i < rank; ++i)
      second_.push_back(checked_float(system.right[i * length + t] / system.values[i]));
}

void OscillationSvd::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  const auto length = static_cast<std::size_t>(this->length());
  const int voxels = static_cast<int>(deconvolution_block), n = static_cast<int>(samples()), rank = level_end_.back();
  std::vector<float> coefficients(static_cast<std::size_t>(rank) * deconvolution_block);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rank, voxels, n, 1.0f, first_.data(), n, curves, n, 0.0f,
              coefficients.data(), voxels);
  std::vector<float> k(length * osvd_lanes);
  std::array<std::int32_t, osvd_lanes> chosen;
  for (std::size_t v = 0; v < deconvolution_block; v += osvd_lanes) {
    simd::last_smooth_level(second_.data(), coefficients.data() + v, length, static_cast<std::size_t>(rank),
                            deconvolution_block, level_end_.data(), level_end_.size(), oscillation_, k.data(),
                            chosen.data());
    for (std::size_t i = 0; i < osvd_lanes; ++i) {
      const auto level = static_cast<std::size_t>(chosen[i]);
      if (!block.extras.empty()) block.extras[0][v + i] = level_threshold_[level];
      for (auto r = static_cast<std::size_t>(level_end_[level]); r < static_cast<std::size_t>(rank); ++r)
        coefficients[r * deconvolution_block + v + i] = 0.0f;
    }
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(length), voxels, rank, 1.0f, second_.data(),
              rank, coefficients.data(), voxels, 0.0f, block.residues.data(), voxels);
  residue_parameters(*this, scale, block);
}

}  // namespace perfpipe
