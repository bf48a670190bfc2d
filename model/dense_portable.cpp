// The dense kernel for any processor: 6 rows x 2 vectors of 4.
namespace perfpipe {
namespace {
constexpr int vector_lanes = 4, tile_rows = 6;
}
}  // namespace perfpipe

#include "model/dense_kernel_impl.hpp"

const perfpipe::DenseKernel* perfpipe::portable_kernel() {
  static constexpr DenseKernel kernel{"portable", features, windows, head};
  return &kernel;
}
