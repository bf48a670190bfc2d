// The dense kernel for AVX2 with FMA: 6 rows x 2 vectors of 8 take 12 of the 16 registers.
#include "model/dense_kernel.hpp"

#if defined(__AVX2__) && defined(__FMA__)

namespace perfpipe {
namespace {
constexpr int vector_lanes = 8, tile_rows = 6;
}
}  // namespace perfpipe

#include "model/dense_kernel_impl.hpp"

const perfpipe::DenseKernel* perfpipe::avx2_kernel() {
  static constexpr DenseKernel kernel{"avx2", features, windows, head};
  return &kernel;
}

#else

const perfpipe::DenseKernel* perfpipe::avx2_kernel() { return nullptr; }

#endif
