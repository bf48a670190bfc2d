// What the bodies of the dense and of the training kernels share: vectors, the network's sizes, and the tile of a
// matrix product in registers. Included by model/{dense,training}_kernel_impl.hpp after the file for a processor has
// said how many lanes a vector has (vector_lanes). Those files are compiled for other processors than the rest: nothing
// in here may be shared between translation units (no standard library, all in an unnamed namespace), or the linker
// could take an AVX-512 copy for all. They are compiled with -ffp-contract=fast: a * b + c is one fused operation where
// the processor has it.
#pragma once

namespace perfpipe {
namespace {

using Vector = float __attribute__((vector_size(vector_lanes * sizeof(float))));

inline Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
inline void store(float* p, Vector x) { *reinterpret_cast<Vector*>(p) = x; }
/// max(0, x), and NaN where x is NaN.
inline Vector relu(Vector x) { return Vector{} > x ? Vector{} : x; }

constexpr int taps = 36, positions = 35, samples_of_curve = 70, maps = 32, hidden = 128;
/// Positions of L2 that are made and used up together: 12 curves' worth (11 KB) stays in the first-level cache beside
/// the weights that pass through.
constexpr int chunk = 7;

/// The product [Rows, depth] x [depth, 32] in tiles of Rows x 2 vectors of accumulators. Row r of the left operand
/// starts at a + r * Stride; the tile's first is `row`. `start(row, column)` gives an accumulator's first value,
/// `finish(row, column, sum)` takes its last.
template <int Rows, int Stride, class Start, class Finish>
inline __attribute__((always_inline)) void tile(const float* a, const float* b, int depth, int row, const Start& start,
                                                const Finish& finish) {
  constexpr int lanes = vector_lanes;
  static_assert(maps % (2 * lanes) == 0);
  for (int column = 0; column < maps; column += 2 * lanes) {
    Vector sum[Rows][2];
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      sum[r][0] = start(row + r, column);
      sum[r][1] = start(row + r, column + lanes);
    }
    const float* const left = a + row * Stride;
    const float* right = b + column;
    for (int k = 0; k < depth; ++k, right += maps) {
      const auto b0 = load(right), b1 = load(right + lanes);
#pragma GCC unroll 12
      for (int r = 0; r < Rows; ++r) {
        const float x = left[r * Stride + k];
        sum[r][0] = x * b0 + sum[r][0];
        sum[r][1] = x * b1 + sum[r][1];
      }
    }
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      finish(row + r, column, sum[r][0]);
      finish(row + r, column + lanes, sum[r][1]);
    }
  }
}

}  // namespace
}  // namespace perfpipe
