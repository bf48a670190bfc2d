// Where a rank's stages compute.
#pragma once

#include <string>

namespace perfpipe {

/// What the job asks for (`parallel.device`).
enum class DeviceChoice { automatic, cpu, cuda };

/// What a rank got; all ranks of a job have the same kind.
struct Device {
  bool cuda = false;
  int index = 0;  ///< CUDA's number of the GPU in this process; choosing it is by thread (cudaSetDevice)
  /// "cpu", or "cuda 9.0" with the GPU's compute capability. The same kind gives the same bits, another may not: it is
  /// in the key of every result that is computed on the device.
  std::string kind = "cpu";
};

}  // namespace perfpipe
