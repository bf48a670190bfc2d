// CUDA's copies behind the table of cuda_copies.hpp.
#include "cluster/cuda_copies.hpp"

#include <cuda_runtime.h>

namespace perfpipe {
namespace {

std::string words_for(cudaError_t status) { return status == cudaSuccess ? "" : cudaGetErrorString(status); }

std::string wait(void* stream) { return words_for(cudaStreamSynchronize(static_cast<cudaStream_t>(stream))); }

std::string copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, void* stream) {
  const auto status = cudaMemcpyAsync(to, from, bytes, kind, static_cast<cudaStream_t>(stream));
  return status == cudaSuccess ? wait(stream) : words_for(status);
}

std::string to_host(void* host, const void* device, std::size_t bytes, void* stream) {
  return copy(host, device, bytes, cudaMemcpyDeviceToHost, stream);
}

std::string to_device(void* device, const void* host, std::size_t bytes, void* stream) {
  return copy(device, host, bytes, cudaMemcpyHostToDevice, stream);
}

}  // namespace
}  // namespace perfpipe

extern "C" const perfpipe::CudaCopyTable* perfpipe_cuda_copies() {
  static const perfpipe::CudaCopyTable table{perfpipe::to_host, perfpipe::to_device, perfpipe::wait};
  return &table;
}
