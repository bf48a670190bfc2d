// Asks the GPU side of nccl.hpp where there is one.
#include "cluster/nccl.hpp"
#include "core/cuda_library.hpp"

namespace perfpipe {

std::string nccl_version() {
  if (!cuda_library_problem().empty()) return "none: " + cuda_library_problem();
  const auto& nccl = cuda_table<NcclTable>();
  if (!nccl.problem().empty()) return "none: " + nccl.problem();
  int number = 0;
  if (nccl.version(&number) != nccl_success) return "unknown";
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." + std::to_string(number % 100);
}

}  // namespace perfpipe
