// The number of threads that LibTorch, OpenMP and OpenBLAS may use. Internal to the part of model/ that needs LibTorch.
#pragma once

namespace perfpipe {

/// Sets the threads of LibTorch (with its OpenMP) and, where the loaded BLAS is OpenBLAS, of OpenBLAS. Throws
/// std::invalid_argument for less than 1.
void use_threads(int count);

/// What the reference engine calls first: sets to one thread what is not yet at one. How a library cuts a
/// product into threads can change its last bits, so it computes on the calling thread alone, and parallelism is over
/// networks, patients and blocks of voxels.
void use_one_thread();

}  // namespace perfpipe
