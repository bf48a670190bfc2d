#include "stages/nearest.hpp"

#include "core/simd.hpp"
#include "stages/column_product.hpp"

#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace perfpipe {
namespace {

/// For each of `columns` columns (a multiple of simd::lanes) the first row of the least a[row] + b[row, column].
PERFPIPE_SIMD void first_least(const float* a, const float* b, std::size_t rows, std::size_t columns,
                               std::int32_t* found) {
  for (std::size_t c = 0; c < columns; c += simd::lanes) {
    simd::Lanes best = simd::Lanes{} + INFINITY;
    simd::IntLanes where{};
    for (std::size_t row = 0; row < rows; ++row) {
      const simd::Lanes sum = a[row] + *reinterpret_cast<const simd::Lanes*>(b + row * columns + c);
      where = sum < best ? simd::IntLanes{} + static_cast<std::int32_t>(row) : where;
      best = sum < best ? sum : best;
    }
    *reinterpret_cast<simd::IntLanes*>(found + c) = where;
  }
}

}  // namespace

NearestCurves::NearestCurves(std::vector<float> curves, std::vector<float> targets, std::int64_t samples)
    : samples_(samples), factors_(std::move(curves)), targets_(std::move(targets)) {
  if (samples < 1 || targets_.empty() || factors_.size() != targets_.size() * static_cast<std::size_t>(samples))
    throw std::invalid_argument("NearestCurves: curves and targets do not fit, or there are none");
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    double sum = 0.0;
    for (std::size_t t = 0; t < static_cast<std::size_t>(samples); ++t) {
      const double value = factors_[i * static_cast<std::size_t>(samples) + t];
      sum += value * value;
    }
    squares_.push_back(static_cast<float>(sum));
  }
  for (float& value : factors_) value *= -2.0f;
}

std::vector<float> NearestCurves::nearest_targets(std::span<const float> queries) const {
  if (queries.size() % static_cast<std::size_t>(samples_) != 0)
    throw std::invalid_argument("NearestCurves: queries of another number of samples");
  const auto samples = static_cast<std::size_t>(samples_);
  const std::size_t m = queries.size() / samples, n = targets_.size();
  const std::size_t columns = (m + simd::lanes - 1) / simd::lanes * simd::lanes;
  std::vector<float> turned(samples * columns, 0.0f), products(n * columns), found;
  for (std::size_t q = 0; q < m; ++q)
    for (std::size_t t = 0; t < samples; ++t) turned[t * columns + q] = queries[q * samples + t];
  multiply_columns(factors_.data(), n, samples, turned.data(), columns, products.data());
  std::vector<std::int32_t> nearest(columns);
  first_least(squares_.data(), products.data(), n, columns, nearest.data());
  for (std::size_t q = 0; q < m; ++q) found.push_back(targets_[static_cast<std::size_t>(nearest[q])]);
  return found;
}

}  // namespace perfpipe
