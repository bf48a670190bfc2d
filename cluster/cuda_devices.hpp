// The GPUs that this process may use.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace perfpipe {

struct CudaDevice {
  std::string name;  ///< "NVIDIA H100 80GB HBM3"
  std::string uuid;  ///< "GPU-...", or "MIG-..." of a part of one; the same GPU has the same one in every process
  std::size_t memory_bytes = 0;
  int major = 0, minor = 0;  ///< compute capability, 9.0 for an H100
};

/// GPU side of this header (core/cuda_library.hpp).
struct CudaDeviceTable {
  static constexpr const char* entry = "perfpipe_cuda_devices";
  /// The GPUs that the process sees (CUDA_VISIBLE_DEVICES and the scheduler's binding leave out others), by CUDA's
  /// index. Makes no context on any. Empty with the reason in `problem` where there is none.
  std::vector<CudaDevice> (*list)(std::string& problem);
  /// Runs a small kernel on one of them; empty if its result is right, else what went wrong.
  std::string (*try_out)(int device);
  /// As CUDA has them: 13000 is 13.0. The driver's is 0 where there is none.
  int (*runtime_version)();
  int (*driver_version)();
};

/// What list() gives; nothing, with the reason in `problem`, where there is no GPU code or no GPU. Never throws.
std::vector<CudaDevice> visible_cuda_devices(std::string& problem);

}  // namespace perfpipe
