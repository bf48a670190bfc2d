// All that needs CUDA (its runtime, cuBLAS, NCCL, our kernels) lies in one shared library beside the executable, opened
// when it is first asked for: the same executable starts as fast, and works, on machines without a GPU or its driver.
#pragma once

#include <string>

namespace perfpipe {

/// Why there is no GPU code to call: empty if the library is open, else one sentence with the remedy. Opens the library
/// at the first call.
const std::string& cuda_library_problem();

/// Address of an entry of the library. Throws DeviceError with cuda_library_problem(), or if there is no such entry.
void* cuda_library_entry(const char* name);

/// What a folder has on the GPU side is a struct of function pointers without any CUDA type in it, declared in a header
/// of that folder (C++17, as nvcc reads it too) with the name of the entry as `Table::entry`:
///     struct CudaDeviceTable { static constexpr const char* entry = "perfpipe_cuda_devices"; ... };
/// and defined in a .cu file as `extern "C" const Table* NAME()`. Throws as cuda_library_entry() does.
template <class Table>
const Table& cuda_table() {
  return *reinterpret_cast<const Table* (*)()>(cuda_library_entry(Table::entry))();
}

}  // namespace perfpipe
