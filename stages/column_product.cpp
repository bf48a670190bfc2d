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

/// The rows that are left after whole tiles.
template <class Kind, std::size_t Rows>
[[gnu::always_inline]] inline void rest(const typename Kind::Number* a, std::size_t rows, std::size_t inner,
                                        const typename Kind::Number* panel, std::size_t columns,
                                        typename Kind::Number* out, bool add) {
  if constexpr (Rows > 0) {
    if (rows == Rows)
      tile<Kind, Rows>(a, inner, panel, columns, out, add);
    else
      rest<Kind, Rows - 1>(a, rows, inner, panel, columns, out, add);
  }
}

/// Panels of one register's width, copied together: rows of `b` are a power of two apart and would share few sets of
/// the cache. `Tall` rows at a time.
template <class Kind, std::size_t Tall>
[[gnu::always_inline]] inline void product(const typename Kind::Number* a, std::size_t rows, std::size_t inner,
                                           const typename Kind::Number* b, std::size_t columns,
                                           typename Kind::Number* panel, typename Kind::Number* out, bool add) {
  typedef typename Kind::Register Register;
  constexpr std::size_t width = sizeof(Register) / sizeof(typename Kind::Number);
  for (std::size_t c = 0; c < columns; c += width) {
    for (std::size_t k = 0; k < inner; ++k)
      *reinterpret_cast<Register*>(panel + k * width) = *reinterpret_cast<const Register*>(b + k * columns + c);
    std::size_t r = 0;
    for (; r + Tall <= rows; r += Tall)
      tile<Kind, Tall>(a + r * inner, inner, panel, columns, out + r * columns + c, add);
    rest<Kind, Tall - 1>(a + r * inner, rows - r, inner, panel, columns, out + r * columns + c, add);
  }
}

// Six rows: with AVX2 their twelve registers of sums are as many as there are free. AVX-512 has one register for the
// sums of a row, and needs eight and more at once to be busy.
PERFPIPE_SIMD void product_of_floats(const float* a, std::size_t rows, std::size_t inner, const float* b,
                                     std::size_t columns, float* panel, float* out, bool add) {
  product<Floats, 6>(a, rows, inner, b, columns, panel, out, add);
}

#ifdef PERFPIPE_SIMD_CLONES
[[gnu::target("arch=x86-64-v4")]] void product_of_floats_by_avx512(const float* a, std::size_t rows, std::size_t inner,
                                                                   const float* b, std::size_t columns, float* panel,
                                                                   float* out, bool add) {
  product<Floats, 12>(a, rows, inner, b, columns, panel, out, add);
}
#endif

PERFPIPE_SIMD void product_of_doubles(const double* a, std::size_t rows, std::size_t inner, const double* b,
                                      std::size_t columns, double* panel, double* out) {
  product<Doubles, 6>(a, rows, inner, b, columns, panel, out, false);
}

#ifdef PERFPIPE_SIMD_CLONES
[[gnu::target("arch=x86-64-v4")]] void product_of_doubles_by_avx512(const double* a, std::size_t rows,
                                                                    std::size_t inner, const double* b,
                                                                    std::size_t columns, double* panel, double* out) {
  product<Doubles, 14>(a, rows, inner, b, columns, panel, out, false);
}
#endif

}  // namespace simd

#ifdef PERFPIPE_SIMD_CLONES
namespace {

/// Whether the functions for AVX-512 may be called.
bool has_avx512() {
  static const bool all = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl");
  return all;
}

}  // namespace
#endif

void multiply_columns(const float* a, std::size_t rows, std::size_t inner, const float* b, std::size_t columns,
                      float* out, bool add) {
  std::vector<float> panel(inner * simd::lanes);
#ifdef PERFPIPE_SIMD_CLONES
  if (has_avx512()) return simd::product_of_floats_by_avx512(a, rows, inner, b, columns, panel.data(), out, add);
#endif
  simd::product_of_floats(a, rows, inner, b, columns, panel.data(), out, add);
}

void multiply_columns(const double* a, std::size_t rows, std::size_t inner, const double* b, std::size_t columns,
                      double* out) {
  std::vector<double> panel(inner * simd::lanes / 2);
#ifdef PERFPIPE_SIMD_CLONES
  if (has_avx512()) return simd::product_of_doubles_by_avx512(a, rows, inner, b, columns, panel.data(), out);
#endif
  simd::product_of_doubles(a, rows, inner, b, columns, panel.data(), out);
}

}  // namespace perfpipe
