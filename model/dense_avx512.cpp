// The dense kernel for AVX-512: 12 rows x 2 vectors of 16 take 24 of the 32 registers.
#include "model/dense_kernel.hpp"

#if defined(__AVX512F__)

namespace perfpipe {
namespace {
constexpr int vector_lanes = 16, tile_rows = 12;
}
}  // namespace perfpipe

#include "model/dense_kernel_impl.hpp"

const perfpipe::DenseKernel* perfpipe::avx512_kernel() {
  static constexpr DenseKernel kernel{"avx512", features, windows, head};
  return &kernel;
}

#else

const perfpipe::DenseKernel* perfpipe::avx512_kernel() { return nullptr; }

#endif
