// Matrix products of a warp on the tensor cores, in TF32: 10 bits of mantissa, sums in single precision. Numbers are
// split into up to two of them: one product gives TF32, three give nearly single precision (the product of the two
// small parts, 2^-22 of the whole, is left out).
//
// Element layout of mma.m16n8k8 (PTX ISA, "Matrix fragments for mma.m16n8k8"), lane = 4 g + q:
//   A [16, 8]: a0 (g, q), a1 (g + 8, q), a2 (g, q + 4), a3 (g + 8, q + 4)
//   B [8, 8]:  b0 (q, g), b1 (q + 4, g)
//   C [16, 8]: c0 (g, 2q), c1 (g, 2q + 1), c2 (g + 8, 2q), c3 (g + 8, 2q + 1)
// and of m16n8k4: a0, a1 and b0 alone. Any order of the inner index is right if A and B share it: with that of
// chained_input() the sums of one product are the left operand of the next without leaving their lane.
#pragma once

#include "model/gpu/block.hpp"

#ifndef __CUDACC__
#include <cstdint>
#include <cstring>
#endif

namespace perfpipe::gpu {

/// The nearest TF32 number, halves away from zero.
PERFPIPE_DEVICE float to_tf32(float x) {
#ifdef __CUDA_ARCH__
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
#elif defined(__CUDACC__)
  return x;
#else
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000u) != 0x7f800000u) bits += 0x1000u;
  bits &= 0xffffe000u;
  std::memcpy(&x, &bits, sizeof bits);
  return x;
#endif
}

/// An operand's numbers: N for a lane, as one (Parts = 1) or as the sum of two TF32 numbers.
template <class Warp, int Parts, int N>
struct Operand {
  typename Warp::template Registers<N> part[Parts];

  PERFPIPE_DEVICE void set(int lane, int i, float x) {
    const float large = to_tf32(x);
    part[0].of(lane)[i] = large;
    if constexpr (Parts == 2) part[1].of(lane)[i] = to_tf32(x - large);
  }
  /// The same of a number that was rounded when it was stored, if one part is wanted.
  PERFPIPE_DEVICE void set_stored(int lane, int i, float x) {
    if constexpr (Parts == 1)
      part[0].of(lane)[i] = x;
    else
      set(lane, i, x);
  }
};

#ifdef __CUDACC__

PERFPIPE_DEVICE void multiply_add(ThreadRegisters<4>& c, const ThreadRegisters<4>& a, const ThreadRegisters<2>& b) {
  const float* const x = a.values;
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c.values[0]), "+f"(c.values[1]), "+f"(c.values[2]), "+f"(c.values[3])
      : "r"(__float_as_uint(x[0])), "r"(__float_as_uint(x[1])), "r"(__float_as_uint(x[2])), "r"(__float_as_uint(x[3])),
        "r"(__float_as_uint(b.values[0])), "r"(__float_as_uint(b.values[1])));
}
PERFPIPE_DEVICE void multiply_add(ThreadRegisters<4>& c, const ThreadRegisters<2>& a, const ThreadRegisters<1>& b) {
  asm("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(c.values[0]), "+f"(c.values[1]), "+f"(c.values[2]), "+f"(c.values[3])
      : "r"(__float_as_uint(a.values[0])), "r"(__float_as_uint(a.values[1])), "r"(__float_as_uint(b.values[0])));
}

#else

/// What the tensor cores read of a number.
inline float tf32_bits(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= 0xffffe000u;
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}

/// C += A B by the layout above, Depth 8 or 4.
template <int Depth>
void multiply_add_plainly(AllRegisters<warp_lanes, 4, float>& c, const AllRegisters<warp_lanes, Depth / 2, float>& a,
                          const AllRegisters<warp_lanes, Depth / 4, float>& b) {
  float left[16][Depth], right[Depth][8];
  for (int lane = 0; lane < warp_lanes; ++lane) {
    const int g = lane / 4, q = lane % 4;
    for (int i = 0; i < Depth / 2; ++i) left[g + 8 * (i % 2)][q + 4 * (i / 2)] = tf32_bits(a.values[lane][i]);
    for (int i = 0; i < Depth / 4; ++i) right[q + 4 * i][g] = tf32_bits(b.values[lane][i]);
  }
  for (int lane = 0; lane < warp_lanes; ++lane)
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
      for (int k = 0; k < Depth; ++k) c.values[lane][i] += left[row][k] * right[k][column];
    }
}
inline void multiply_add(AllRegisters<warp_lanes, 4, float>& c, const AllRegisters<warp_lanes, 4, float>& a,
                         const AllRegisters<warp_lanes, 2, float>& b) {
  multiply_add_plainly<8>(c, a, b);
}
inline void multiply_add(AllRegisters<warp_lanes, 4, float>& c, const AllRegisters<warp_lanes, 2, float>& a,
                         const AllRegisters<warp_lanes, 1, float>& b) {
  multiply_add_plainly<4>(c, a, b);
}

#endif

/// The same of split numbers, the small products first.
template <class Warp, int Parts, int N, int M>
PERFPIPE_DEVICE void multiply_add(typename Warp::template Registers<4>& c, const Operand<Warp, Parts, N>& a,
                                  const Operand<Warp, Parts, M>& b) {
  if constexpr (Parts == 2) {
    multiply_add(c, a.part[1], b.part[0]);
    multiply_add(c, a.part[0], b.part[1]);
  }
  multiply_add(c, a.part[0], b.part[0]);
}

/// A number as it is stored for set_stored().
template <int Parts>
PERFPIPE_DEVICE float stored(float x) {
  return Parts == 1 ? to_tf32(x) : x;
}

/// Which of eight inner indices stands in a slot when C [16, 8] of one product is A of the next.
PERFPIPE_DEVICE constexpr int chained_input(int slot) { return slot < 4 ? 2 * slot : 2 * (slot - 4) + 1; }
/// Where element i of A then stands in C.
PERFPIPE_DEVICE constexpr int chained_element(int i) { return i == 1 ? 2 : i == 2 ? 1 : i; }

/// Which of 32 maps stands in a slot of step s = 0..3 when a lane reads eight in a row (maps 8q to 8q + 7).
PERFPIPE_DEVICE constexpr int row_input(int s, int slot) { return slot % 4 * 8 + 2 * s + slot / 4; }

}  // namespace perfpipe::gpu
