// Loops over independent lanes, compiled for several instruction sets; the machine's best is taken when the program
// starts.
#pragma once

#include <cstddef>
#include <cstdint>

// One binary serves every x86-64: without this its loops would use four lanes of the sixteen that most cores have.
// Sanitizers are not ready when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define PERFPIPE_SIMD_CLONES
#define PERFPIPE_SIMD __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define PERFPIPE_SIMD
#endif

namespace perfpipe::simd {

/// Sixteen voxels side by side: one register of AVX-512, four of SSE. May lie anywhere in an array of floats.
inline constexpr std::size_t lanes = 16;
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef double DoubleLanes __attribute__((vector_size(64), aligned(8), may_alias));  // eight
/// Sixteen: whole registers are converted to two of these in one go, halves of them would go by quarters.
typedef double WideLanes __attribute__((vector_size(128), aligned(8), may_alias));
typedef std::int32_t IntLanes __attribute__((vector_size(64), aligned(4), may_alias));

}  // namespace perfpipe::simd
