#include "core/arrays.hpp"

#include "core/simd.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace perfpipe {
namespace {

PERFPIPE_SIMD void add(double* sum, const float* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += static_cast<double>(values[i]);
}

/// Of the magnitudes' bits: ordered as the magnitudes are, infinity before NaN.
PERFPIPE_SIMD std::int32_t largest_magnitude_bits(const float* values, std::size_t n) {
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<std::int32_t>(values[i]) & 0x7fffffff);
  return largest;
}

}  // namespace

double largest_magnitude(std::span<const float> values) {
  const auto bits = largest_magnitude_bits(values.data(), values.size());
  constexpr auto infinity = std::bit_cast<std::int32_t>(std::numeric_limits<float>::infinity());
  return bits >= infinity ? std::numeric_limits<double>::infinity() : static_cast<double>(std::bit_cast<float>(bits));
}

bool all_finite(std::span<const float> values) { return std::isfinite(largest_magnitude(values)); }

void add_to(std::span<double> sum, std::span<const float> values) { add(sum.data(), values.data(), sum.size()); }

}  // namespace perfpipe
