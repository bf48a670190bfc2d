// The training kernel for AVX2 with FMA: 6 rows x 2 vectors of 8 take 12 of the 16 registers.
#include "model/training_kernel.hpp"

#if defined(__AVX2__) && defined(__FMA__)

namespace perfpipe {
namespace {
constexpr int vector_lanes = 8, tile_rows = 6, outer_rows_l2 = 5, outer_rows_taps = 4, outer_rows = 4;
}
}  // namespace perfpipe

#include "model/training_kernel_impl.hpp"

const perfpipe::TrainingKernel* perfpipe::avx2_training_kernel() {
  static constexpr TrainingKernel kernel = make_kernel("avx2");
  return &kernel;
}

#else

const perfpipe::TrainingKernel* perfpipe::avx2_training_kernel() { return nullptr; }

#endif
