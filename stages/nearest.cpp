#include "stages/nearest.hpp"

#include "core/simd.hpp"

#include <cblas.h>
#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace perfpipe {
namespace {

/// The first place of the least sum a[i] + b[i], n > 0: sixteen candidates side by side, each the first of its own
/// places.
PERFPIPE_SIMD std::size_t first_least(const float* a, const float* b, std::size_t n) {
  simd::Lanes best = simd::Lanes{} + INFINITY;
  simd::IntLanes where{}, here{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  std::size_t i = 0;
  for (; i + simd::lanes <= n; i += simd::lanes, here += static_cast<std::int32_t>(simd::lanes)) {
    const simd::Lanes sum = *reinterpret_cast<const simd::Lanes*>(a + i) + *reinterpret_cast<const simd::Lanes*>(b + i);
    where = sum < best ? here : where;
    best = sum < best ? sum : best;
  }
  std::size_t least = n;
  float value = INFINITY;
  for (std::size_t lane = 0; lane < simd::lanes && i > 0; ++lane) {
    const auto place = static_cast<std::size_t>(where[lane]);
    if (best[lane] < value || (best[lane] == value && place < least)) {
      value = best[lane];
      least = place;
    }
  }
  for (; i < n; ++i)
    if (a[i] + b[i] < value) {
      value = a[i] + b[i];
      least = i;
    }
  return least == n ? 0 : least;
}

}  // namespace

NearestCurves::NearestCurves(std::vector<float> curves, std::vector<float> targets, std::int64_t samples)
    : samples_(samples), curves_(std::move(curves)), targets_(std::move(targets)) {
  if (samples < 1 || targets_.empty() || curves_.size() != targets_.size() * static_cast<std::size_t>(samples))
    throw std::invalid_argument("NearestCurves: curves and targets do not fit, or there are none");
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    double sum = 0.0;
    for (std::size_t t = 0; t < static_cast<std::size_t>(samples); ++t) {
      const double value = curves_[i * static_cast<std::size_t>(samples) + t];
      sum += value * value;
    }
    squares_.push_back(static_cast<float>(sum));
  }
}

std::vector<float> NearestCurves::nearest_targets(std::span<const float> queries) const {
  if (queries.size() % static_cast<std::size_t>(samples_) != 0)
    throw std::invalid_argument("NearestCurves: queries of another number of samples");
  const auto m = static_cast<int>(queries.size() / static_cast<std::size_t>(samples_));
  const auto n = static_cast<int>(targets_.size()), samples = static_cast<int>(samples_);
  std::vector<float> found(static_cast<std::size_t>(m)), products(static_cast<std::size_t>(m) * targets_.size());
  if (m == 0) return found;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, samples, -2.0f, queries.data(), samples, curves_.data(),
              samples, 0.0f, products.data(), n);
  for (std::size_t q = 0; q < found.size(); ++q) {
    const float* const row = products.data() + q * targets_.size();
    found[q] = targets_[first_least(squares_.data(), row, targets_.size())];
  }
  return found;
}

}  // namespace perfpipe
