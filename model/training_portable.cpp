// The training kernel for any processor: 6 rows x 2 vectors of 4.
namespace perfpipe {
namespace {
constexpr int vector_lanes = 4, tile_rows = 6, outer_rows_l2 = 5, outer_rows_taps = 4, outer_rows = 4;
}
}  // namespace perfpipe

#include "model/training_kernel_impl.hpp"

const perfpipe::TrainingKernel* perfpipe::portable_training_kernel() {
  static constexpr TrainingKernel kernel = make_kernel("portable");
  return &kernel;
}
