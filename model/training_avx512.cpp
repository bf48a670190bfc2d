// The training kernel for AVX-512: 12 rows x 2 vectors of 16 take 24 of the 32 registers, gradients of L2 14 x 2.
#include "model/training_kernel.hpp"

#if defined(__AVX512F__)

namespace perfpipe {
namespace {
constexpr int vector_lanes = 16, tile_rows = 12, outer_rows_l2 = 14, outer_rows_taps = 12, outer_rows = 8;
}
}  // namespace perfpipe

#include "model/training_kernel_impl.hpp"

const perfpipe::TrainingKernel* perfpipe::avx512_training_kernel() {
  static constexpr TrainingKernel kernel = make_kernel("avx512");
  return &kernel;
}

#else

const perfpipe::TrainingKernel* perfpipe::avx512_training_kernel() { return nullptr; }

#endif
