// Matrix products in which every column is a voxel and none depends on its place.
#pragma once

#include <cstddef>

namespace perfpipe {

/// out[rows, columns] = a[rows, inner] · b[inner, columns], or added to it; row-major, `columns` a multiple of 16.
/// Each element is summed over `inner` in order and by the same instructions wherever its column stands. BLAS does not
/// promise that, and does not keep it: OpenBLAS 0.3.21's sgemm for Haswell rounds columns 8 to 15 of sixteen otherwise
/// than columns 0 to 7, so that a voxel's bits depended on how many of the mask came before it.
void multiply_columns(const float* a, std::size_t rows, std::size_t inner, const float* b, std::size_t columns,
                      float* out, bool add = false);
void multiply_columns(const double* a, std::size_t rows, std::size_t inner, const double* b, std::size_t columns,
                      double* out);

}  // namespace perfpipe
