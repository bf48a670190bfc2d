// The number of threads that OpenBLAS may use.
#pragma once

#include <string>

namespace perfpipe {

/// Sets the threads of OpenBLAS, where that is the BLAS that was loaded.
void use_blas_threads(int count);

/// Parallel work is the program's own to share out: 1, and those that OpenBLAS made when it was loaded are ended. They
/// would look out for work for the first tenth of a second, on the cores that read and check the data then.
void use_no_blas_threads();

/// Threads of OpenBLAS; 1 where another BLAS was loaded.
int blas_threads();

/// What OpenBLAS says of itself, with the kernels that it chose for this processor; "" where another BLAS is loaded.
std::string blas_description();

}  // namespace perfpipe
