#include "stages/deconvolution_osvd.hpp"

#include "core/simd.hpp"
#include "stages/column_product.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {

namespace simd {

/// Adds level after level to k [length] and notes for each lane the last level whose oscillation index is below the
/// limit. `coefficients` [rank, voxels] point at the first lane; `vectors` is [rank, length].
PERFPIPE_SIMD void last_smooth_level(const float* vectors, const float* coefficients, std::size_t length,
                                     std::size_t voxels, const std::int32_t* level_end, std::size_t levels, float limit,
                                     Lanes* k, std::int32_t* chosen) {
  for (std::size_t t = 0; t < length; ++t) k[t] = Lanes{};
  IntLanes last_good{};
  std::size_t from = 0;
  for (std::size_t level = 0; level < levels; ++level) {
    const auto to = static_cast<std::size_t>(level_end[level]);
    // Cosine and sine; of frequency 0 and L/2 one vector alone.
    const float* const a = vectors + from * length;
    const float* const b = vectors + (to - 1) * length;
    const Lanes x = *reinterpret_cast<const Lanes*>(coefficients + from * voxels);
    const Lanes y = to - from > 1 ? *reinterpret_cast<const Lanes*>(coefficients + (to - 1) * voxels) : Lanes{};
    Lanes before = k[0] + a[0] * x + b[0] * y, last = k[1] + a[1] * x + b[1] * y, bends{};
    k[0] = before;
    k[1] = last;
    Lanes largest = before > last ? before : last;
    for (std::size_t t = 2; t < length; ++t) {
      const Lanes here = k[t] + a[t] * x + b[t] * y;
      k[t] = here;
      const Lanes bend = here - 2.0f * last + before;
      bends += bend > 0.0f ? bend : -bend;
      largest = here > largest ? here : largest;
      before = last;
      last = here;
    }
    last_good = bends < limit * largest ? IntLanes{} + static_cast<std::int32_t>(level) : last_good;
    from = to;
  }
  *reinterpret_cast<IntLanes*>(chosen) = last_good;
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
  for (std::size_t i = 0; i < rank; ++i)
    for (std::size_t t = 0; t < length; ++t)
      second_.push_back(checked_float(system.right[i * length + t] / system.values[i]));
  for (std::size_t t = 0; t < length; ++t)
    for (std::size_t i = 0; i < rank; ++i) back_.push_back(second_[i * length + t]);
}

void OscillationSvd::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  const auto length = static_cast<std::size_t>(this->length());
  constexpr std::size_t voxels = deconvolution_block;
  const auto n = static_cast<std::size_t>(samples()), rank = static_cast<std::size_t>(level_end_.back());
  std::vector<float> coefficients(rank * voxels);
  multiply_columns(first_.data(), rank, n, curves, voxels, coefficients.data());
  std::vector<float> k(length * simd::lanes);
  std::array<std::int32_t, simd::lanes> chosen;
  for (std::size_t v = 0; v < deconvolution_block; v += simd::lanes) {
    simd::last_smooth_level(second_.data(), coefficients.data() + v, length, deconvolution_block, level_end_.data(),
                            level_end_.size(), oscillation_, reinterpret_cast<simd::Lanes*>(k.data()), chosen.data());
    for (std::size_t i = 0; i < simd::lanes; ++i) {
      const auto level = static_cast<std::size_t>(chosen[i]);
      if (!block.extras.empty()) block.extras[0][v + i] = level_threshold_[level];
      for (auto r = static_cast<std::size_t>(level_end_[level]); r < rank; ++r)
        coefficients[r * deconvolution_block + v + i] = 0.0f;
    }
  }
  multiply_columns(back_.data(), length, rank, coefficients.data(), voxels, block.residues.data());
  residue_parameters(*this, scale, block);
}

}  // namespace perfpipe
