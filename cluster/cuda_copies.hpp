// Copies between GPU and host memory, for sums that go through MPI.
#pragma once

#include <cstddef>
#include <string>

namespace perfpipe {

/// GPU side of this header (core/cuda_library.hpp). Each waits until `stream` has done what it held and this; empty, or
/// CUDA's words if that failed.
struct CudaCopyTable {
  static constexpr const char* entry = "perfpipe_cuda_copies";
  std::string (*to_host)(void* host, const void* device, std::size_t bytes, void* stream);
  std::string (*to_device)(void* device, const void* host, std::size_t bytes, void* stream);
  std::string (*wait)(void* stream);
};

}  // namespace perfpipe
