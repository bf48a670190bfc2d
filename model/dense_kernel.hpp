// The arithmetic of the dense inference engine, compiled three times: for AVX-512, for AVX2 with FMA, and for any
// machine. Which of them runs is chosen at run time.
//
// Every element of every product is one chain of fused multiply-adds in the order of its index, whatever the width of
// the vectors. So the AVX-512 and the AVX2 kernel give the same bits, a voxel's bits do not depend on its place in a
// block, and only machines without fused multiply-adds round otherwise.
#pragma once

#include <cstddef>

namespace perfpipe {

/// Voxels (or windows) that a kernel takes at once; fewer are filled up by the caller.
inline constexpr int dense_block = 12;

/// Weights of a tissue chain and of the layers behind it as the kernels read them: input index first, 32 outputs
/// together, 64-byte aligned. `conv2` is null in the max-pool architecture.
struct DenseWeights {
  const float* conv1;       ///< [36, 32]
  const float* conv1_bias;  ///< [32]
  const float* conv2;       ///< [35 * 32, 32], input = time * 32 + map
  const float* conv2_bias;  ///< [32]
  const float* conv3;       ///< [4 * 32, 32], input = (y * 2 + x) * 32 + map
  const float* conv3_bias;  ///< [32]
  const float* fc6;         ///< [4 panels of 32 outputs, 128, 32]; the tissue half
  const float* fc6_bias;    ///< [128], with what the AIF adds
  const float* fc7;         ///< [4 panels of 32 outputs, 128, 32]
  const float* fc7_bias;    ///< [128]
  const float* fc8;         ///< [128]
  float fc8_bias;
  const unsigned short* fast;  ///< as a kernel's pack() left them; null where it has none
};

struct DenseKernel {
  const char* name;
  /// L1 to L3 of 12 scaled curves [12, 70]: `l3` [12, 32].
  void (*features)(const DenseWeights& weights, const float* curves, float* l3);
  /// L4 of 12 neighbouring 2x2 windows from two lines of L3, each [13, 32]: `l4` [12, 32].
  void (*windows)(const DenseWeights& weights, const float* upper, const float* lower, float* l4);
  /// L6 to L8 of 12 voxels from the tissue half of L5 [12, 128]: `estimates` [12], not clamped.
  void (*head)(const DenseWeights& weights, const float* l5, float* estimates);
  /// Packs `packed_size` numbers from the other weights for this kernel's features(); null: it needs none.
  void (*pack)(const DenseWeights& weights, unsigned short* packed) = nullptr;
  int packed_size = 0;
};

/// The kernels; null where this build has none (other processors). Whether the machine can run one is the caller's
/// question.
const DenseKernel* avx512_kernel();
const DenseKernel* amx_kernel();  ///< rounds to some 16 bits: never taken unasked
const DenseKernel* avx2_kernel();
const DenseKernel* portable_kernel();

}  // namespace perfpipe
