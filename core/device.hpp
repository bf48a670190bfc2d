// Where a rank's stages compute.
#pragma once

#include <string>

namespace perfpipe {

/// What the job asks for (`parallel.device`).
enum class DeviceChoice { automatic, cpu, cuda };

/// How a stage uses a GPU where there is one.
enum class DeviceUse {
  none,       ///< it computes on the CPU
  same_bits,  ///< it computes on the GPU what it computes on the CPU, to the last bit
  own_bits    ///< the GPU rounds differently: its kind is part of the results' keys
};

/// What a rank got; all ranks of a job have the same kind.
struct Device {
  bool cuda = false;
  int index = 0;  ///< CUDA's number of the GPU in this process; choosing it is by thread (cudaSetDevice)
  /// "cpu", or "cuda 9.0" with the GPU's compute capability. The same kind gives the same bits, another may not.
  std::string kind = "cpu";
  /// What stages compute in on the CPU that want less precision for more speed: "bf16 amx" where every rank's processor
  /// has that, else "exact". Each has bits of its own.
  std::string fast_arithmetic = "exact";
};

}  // namespace perfpipe
