#include "model/gradient_sum.hpp"

#include "core/simd.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace perfpipe {
namespace {

// A value is taken as a whole number of 24 bits and a rest of 24 bits: both parts, and the sums of up to eight of them,
// fit into the 32-bit integers to which every processor converts sixteen values at a time.
constexpr int part_bits = 24;
constexpr float part = 1 << part_bits;
static_assert(gradient_shards <= 8);

struct Parts {
  simd::IntLanes whole{}, rest{};
};

/// Adds sixteen values; products by powers of two are exact, and so is what the whole number leaves.
inline __attribute__((always_inline)) void add_parts(simd::Lanes values, float scale, Parts& sum) {
  const simd::Lanes scaled = values * scale;
  const auto whole = __builtin_convertvector(scaled, simd::IntLanes);
  sum.whole += whole;
  sum.rest += __builtin_convertvector((scaled - __builtin_convertvector(whole, simd::Lanes)) * part, simd::IntLanes);
}

inline __attribute__((always_inline)) void sum_rows(const float* shards, std::size_t count, std::size_t row,
                                                    std::size_t size, float scale, double inverse, float* total) {
  for (std::size_t i = 0; i < size; i += simd::lanes) {
    Parts sum;
    for (std::size_t s = 0; s < count; ++s)
      add_parts(*reinterpret_cast<const simd::Lanes*>(shards + s * row + i), scale, sum);
    // Below 2^51 * inverse: exact in doubles.
    *reinterpret_cast<simd::Lanes*>(total + i) = __builtin_convertvector(
        __builtin_convertvector(sum.whole, simd::WideLanes) * (static_cast<double>(part) * inverse) +
            __builtin_convertvector(sum.rest, simd::WideLanes) * inverse,
        simd::Lanes);
  }
}

/// total = sum over `count` rows of shards, whose length is a multiple of simd::lanes; `inverse` undoes scale * part.
PERFPIPE_SIMD void sum_alone(const float* shards, std::size_t count, std::size_t row, std::size_t size, float scale,
                             double inverse, float* total) {
  if (count == gradient_shards)  // without a loop over shards
    sum_rows(shards, gradient_shards, row, size, scale, inverse, total);
  else
    sum_rows(shards, count, row, size, scale, inverse, total);
}

PERFPIPE_SIMD void add_fixed(const float* values, std::size_t size, float scale, std::int64_t* fixed) {
  for (std::size_t i = 0; i < size; ++i) {
    const float scaled = values[i] * scale;
    const auto whole = static_cast<std::int32_t>(scaled);
    const auto rest = static_cast<std::int32_t>((scaled - static_cast<float>(whole)) * part);
    fixed[i] += (static_cast<std::int64_t>(whole) << part_bits) + rest;
  }
}

PERFPIPE_SIMD void from_fixed(const std::int64_t* fixed, std::size_t size, double inverse, float* total) {
  for (std::size_t i = 0; i < size; ++i) total[i] = static_cast<float>(static_cast<double>(fixed[i]) * inverse);
}

}  // namespace

void GradientSum::sum(std::span<const float> shards, double largest, Communicator* group, std::span<float> total) {
  const std::size_t size = total.size(), count = size == 0 ? 0 : shards.size() / size;
  if (count * size != shards.size() || count > gradient_shards)
    throw std::invalid_argument("GradientSum: shards are not (at most four) rows of the total's size");
  int exponent = 0;
  std::frexp(largest, &exponent);       // largest < 2^exponent
  exponent = std::max(exponent, -100);  // the scale is a float, too
  const float scale = std::ldexp(1.0f, part_bits - exponent);
  const double inverse = std::ldexp(1.0, exponent - 2 * part_bits);
  if (group == nullptr || group->size() == 1) {
    const std::size_t blocks = size / simd::lanes * simd::lanes;
    sum_alone(shards.data(), count, size, blocks, scale, inverse, total.data());
    // What is left, padded with zeros.
    std::array<float, gradient_shards * simd::lanes> tail{};
    std::array<float, simd::lanes> tail_total{};
    for (std::size_t s = 0; s < count; ++s)
      std::copy(shards.begin() + static_cast<std::ptrdiff_t>(s * size + blocks),
                shards.begin() + static_cast<std::ptrdiff_t>((s + 1) * size),
                tail.begin() + static_cast<std::ptrdiff_t>(s * simd::lanes));
    sum_alone(tail.data(), count, simd::lanes, simd::lanes, scale, inverse, tail_total.data());
    std::copy_n(tail_total.begin(), size - blocks, total.begin() + static_cast<std::ptrdiff_t>(blocks));
    return;
  }
  fixed_.assign(size, 0);
  for (std::size_t s = 0; s < count; ++s) add_fixed(shards.data() + s * size, size, scale, fixed_.data());
  group->allreduce_sum(fixed_, "the sum of gradients");
  from_fixed(fixed_.data(), size, inverse, total.data());
}

}  // namespace perfpipe
