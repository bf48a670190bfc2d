#include "model/gradient_sum.hpp"

#include "core/simd.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace perfpipe {
namespace {

// Adding 1.5 * 2^52 leaves the nearest integer of a small double in its lowest bits, and vectorises everywhere, which
// conversions to 64-bit integers do not before AVX-512.
constexpr double magic = 6755399441055744.0;
constexpr auto magic_bits = std::bit_cast<std::int64_t>(magic);
constexpr int integer_bits = 51;  // of what this conversion holds, sign aside
static_assert(gradient_shards <= 8);
constexpr int shard_bits = 3;

inline std::int64_t to_fixed(float value, double scale) {
  return std::bit_cast<std::int64_t>(static_cast<double>(value) * scale + magic) - magic_bits;
}
inline float to_float(std::int64_t fixed, double inverse) {
  return static_cast<float>((std::bit_cast<double>(fixed + magic_bits) - magic) * inverse);
}

// The rounding is the same in every clone: products by powers of two are exact, so that fusing them changes nothing.
PERFPIPE_SIMD std::uint32_t largest_bits(const float* values, std::size_t count) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i)
    largest = std::max(largest, std::bit_cast<std::uint32_t>(values[i]) << 1 >> 1);
  return largest;
}

typedef float EightFloats __attribute__((vector_size(32), aligned(4), may_alias));

/// The same sum of all shards at once: whole numbers below 2^51 are exact as doubles, too, and stay in registers.
PERFPIPE_SIMD void sum_alone(const float* shards, std::size_t count, std::size_t size, double scale, double inverse,
                             float* total) {
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    simd::DoubleLanes sum{};
    for (std::size_t s = 0; s < count; ++s) {
      const auto values = *reinterpret_cast<const EightFloats*>(shards + s * size + i);
      sum += (__builtin_convertvector(values, simd::DoubleLanes) * scale + magic) - magic;
    }
    *reinterpret_cast<EightFloats*>(total + i) = __builtin_convertvector(sum * inverse, EightFloats);
  }
  for (; i < size; ++i) {
    std::int64_t fixed = 0;
    for (std::size_t s = 0; s < count; ++s) fixed += to_fixed(shards[s * size + i], scale);
    total[i] = to_float(fixed, inverse);
  }
}

PERFPIPE_SIMD void add_fixed(const float* values, std::size_t size, double scale, std::int64_t* fixed) {
  for (std::size_t i = 0; i < size; ++i) fixed[i] += to_fixed(values[i], scale);
}

PERFPIPE_SIMD void from_fixed(const std::int64_t* fixed, std::size_t size, double inverse, float* total) {
  for (std::size_t i = 0; i < size; ++i) total[i] = to_float(fixed[i], inverse);
}

}  // namespace

double largest_magnitude(std::span<const float> values) {
  const auto bits = largest_bits(values.data(), values.size());
  constexpr auto infinity = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
  return bits >= infinity ? std::numeric_limits<double>::infinity() : static_cast<double>(std::bit_cast<float>(bits));
}

void GradientSum::sum(std::span<const float> shards, double largest, Communicator* group, std::span<float> total) {
  const std::size_t size = total.size(), count = size == 0 ? 0 : shards.size() / size;
  if (count * size != shards.size())
    throw std::invalid_argument("GradientSum: shards are not rows of the total's size");
  int exponent = 0;
  std::frexp(largest, &exponent);  // largest < 2^exponent
  const double scale = std::ldexp(1.0, integer_bits - shard_bits - exponent);
  const double inverse = 1.0 / scale;
  if (group == nullptr || group->size() == 1) {
    sum_alone(shards.data(), count, size, scale, inverse, total.data());
    return;
  }
  fixed_.assign(size, 0);
  for (std::size_t s = 0; s < count; ++s) add_fixed(shards.data() + s * size, size, scale, fixed_.data());
  group->allreduce_sum(fixed_, "the sum of gradients");
  from_fixed(fixed_.data(), size, inverse, total.data());
}

}  // namespace perfpipe
