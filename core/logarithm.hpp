// A natural logarithm that compilers turn into vector instructions.
#pragma once

#include <bit>
#include <cstdint>

namespace perfpipe {

/// ln x of a positive, finite, normal x, with an error of less than 1 ulp: the algorithm of fdlibm's e_log.c (x = 2^k
/// (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), a polynomial in f / (2 + f)), without branches, so that a loop over samples
/// goes through it many at a time. Compiled with -ffp-contract=off it gives the same bits on every processor.
[[gnu::always_inline]] inline double positive_log(double x) {
  constexpr auto one = std::uint64_t{0x3ff0000000000000}, root_half = std::uint64_t{0x3fe6a09e667f3bcd};
  constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  // k + 1023, and as a double by way of the last bits of 2^52.
  const std::uint64_t exponent = (bits + (one - root_half)) >> 52;
  const double k = std::bit_cast<double>(exponent | 0x4330000000000000) - (0x1p52 + 1023.0);
  const double f = std::bit_cast<double>(bits - (exponent << 52) + one) - 1.0;
  const double s = f / (2.0 + f), z = s * s, w = z * z;
  const double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double odd =
      z * (6.666666666666735130e-01 +
           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half_square = 0.5 * f * f;
  return k * ln2_high - ((half_square - (s * (half_square + (even + odd)) + k * ln2_low)) - f);
}

}  // namespace perfpipe
