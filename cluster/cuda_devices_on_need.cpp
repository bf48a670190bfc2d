// Asks the GPU side of cuda_devices.hpp where there is one.
#include "cluster/cuda_devices.hpp"
#include "core/cuda_library.hpp"
#include "core/error.hpp"

namespace perfpipe {

std::vector<CudaDevice> visible_cuda_devices(std::string& problem) {
  problem = cuda_library_problem();
  if (!problem.empty()) return {};
  try {
    return cuda_table<CudaDeviceTable>().list(problem);
  } catch (const DeviceError& error) {
    problem = error.what();
    return {};
  }
}

}  // namespace perfpipe
