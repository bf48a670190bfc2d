#include "stages/column_product.hpp"

#include "core/simd.hpp"

#include <algorithm>
#include <vector>

namespace perfpipe {
namespace simd {

// A template argument would lose the register's alignment; a member does not.
struct Floats {
  using Number = float;
  typedef Lanes Register;
};
struct Doubles {
  using Number = double;
  typedef DoubleLanes Register;
};

// Inlined into each clone below, and so compiled for its instruction set.
template <class Kind, std::size_t Rows>
[[gnu::always_inline]] inline void tile(const typename Kind::Number* a, std::size_t inner,
                                        const typename Kind::Number* panel, std::size_t columns,
                                        typename Kind::Number* out, bool add) {
  typedef typename Kind::Register Register;
  constexpr std::size_t width = sizeof(Register) / sizeof(typename Kind::Number);
  Register sum[Rows] = {};
  for (std::size_t k = 0; k < inner; ++k) {
    const Register b = *reinterpret_cast<const Register*>(panel + k * width);
    for (std::size_t r = 0; r < Rows; ++r) sum[r] += a[r * inner + k] * b;
  }
  for (std::size_t r = 0; r < Rows; ++r) {
    Register* const place = reinterpret_cast<Register*>(out + r * columns);
    *place = add ? *place + sum[r] : sum[r];
  }
}

/// Panels of one register's width, copied together: rows of `b` are a power of two apart and would share few sets of
/// the cache. Six rows at a time: with AVX2 their twelve registers of sums are as many as there are free.
template <class Kind>
[[gnu::always_inline]] inline void product(const typename Kind::Number* a, std::size_t rows, std::size_t inner,
                                           const typename Kind::Number* b, std::size_t columns,
                                           typename Kind::Number* panel, typename Kind::Number* out, bool add) {
  typedef typename Kind::Register Register;
  constexpr std::size_t width = sizeof(Register) / sizeof(typename Kind::Number), tall = 6;
  for (std::size_t c = 0; c < columns; c += width) {
    for (std::size_t k = 0; k < inner; ++k)
      *reinterpret_cast<Register*>(panel + k * width) = *reinterpret_cast<const Register*>(b + k * columns + c);
    std::size_t r = 0;
    for (; r + tall <= rows; r += tall)
      tile<Kind, tall>(a + r * inner, inner, panel, columns, out + r * columns + c, add);
    const auto* const rest = a + r * inner;
    auto* const place = out + r * columns + c;
    switch (rows - r) {
      case 5:
        tile<Kind, 5>(rest, inner, panel, columns, place, add);
        break;
      case 4:
        tile<Kind, 4>(rest, inner, panel, columns, place, add);
        break;
      case 3:
        tile<Kind, 3>(rest, inner, panel, columns, place, add);
        break;
      case 2:
        tile<Kind, 2>(rest, inner, panel, columns, place, add);
        break;
      case 1:
        tile<Kind, 1>(rest, inner, panel, columns, place, add);
        break;
      default:
        break;
    }
  }
}

PERFPIPE_SIMD void product_of_floats(const float* a, std::size_t rows, std::size_t inner, const float* b,
                                     std::size_t columns, float* panel, float* out, bool add) {
  product<Floats>(a, rows, inner, b, columns, panel, out, add);
}

PERFPIPE_SIMD void product_of_doubles(const double* a, std::size_t rows, std::size_t inner, const double* b,
                                      std::size_t columns, double* panel, double* out) {
  product<Doubles>(a, rows, inner, b, columns, panel, out, false);
}

}  // namespace simd

void multiply_columns(const float* a, std::size_t rows, std::size_t inner, const float* b, std::size_t columns,
                      float* out, bool add) {
  std::vector<float> panel(inner * simd::lanes);
  simd::product_of_floats(a, rows, inner, b, columns, panel.data(), out, add);
}

void multiply_columns(const double* a, std::size_t rows, std::size_t inner, const double* b, std::size_t columns,
                      double* out) {
  std::vector<double> panel(inner * simd::lanes / 2);
  simd::product_of_doubles(a, rows, inner, b, columns, panel.data(), out);
}

}  // namespace perfpipe
