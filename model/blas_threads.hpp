// The number of threads that OpenBLAS may use.
#pragma once

#include <string>

namespace perfpipe {

/// Sets the threads of OpenBLAS, where that is the BLAS that was loaded. Parallel work is the program's own to share
/// out, so it says 1 at its start, before other threads compute.
void use_blas_threads(int count);

/// Threads of OpenBLAS; 1 where another BLAS was loaded.
int blas_threads();

/// What OpenBLAS says of itself, with the kernels that it chose for this processor; "" where another BLAS is loaded.
std::string blas_description();

}  // namespace perfpipe
