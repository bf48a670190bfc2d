// Looks for GPUs through CUDA's runtime. Nothing here makes a context but try_out().
#include "cluster/cuda_devices.hpp"

#include <cstdio>
#include <cuda_runtime.h>

namespace perfpipe {
namespace {

constexpr int block = 256;

/// Sum of 0 ... block - 1, by the threads of one block.
__global__ void sum_of_threads(int* sum) { atomicAdd(sum, static_cast<int>(threadIdx.x)); }

int runtime_version() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

/// CUDA's words for a driver that is too old are also those for no driver at all.
std::string words_for(cudaError_t status) {
  if (driver_version() == 0) return "this machine has no NVIDIA driver (libcuda.so.1)";
  std::string words = cudaGetErrorString(status);
  if (status == cudaErrorInsufficientDriver)
    words += ": the driver is for CUDA " + std::to_string(driver_version() / 1000) + "." +
             std::to_string(driver_version() % 1000 / 10) + ", this program for CUDA " +
             std::to_string(runtime_version() / 1000) + "." + std::to_string(runtime_version() % 1000 / 10) +
             "; update the driver";
  return words;
}

/// "GPU-8-4-4-4-12" as nvidia-smi writes it. CUDA_VISIBLE_DEVICES can name a part of a GPU, and CUDA then has the
/// part's UUID: it is told apart all the same.
std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    char digits[3] = "";
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<unsigned char>(uuid.bytes[i])));
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

std::vector<CudaDevice> list(std::string& problem) {
  problem.clear();
  int count = 0;
  if (const auto status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    problem = words_for(status);
    static_cast<void>(cudaGetLastError());  // or the next call would report this one
    return {};
  }
  if (count == 0) problem = "the driver sees no GPU";
  std::vector<CudaDevice> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (const auto status = cudaGetDeviceProperties(&properties, i); status != cudaSuccess) {
      problem = "GPU " + std::to_string(i) + ": " + words_for(status);
      return {};
    }
    CudaDevice device;
    device.name = properties.name;
    device.uuid = uuid_text(properties.uuid);
    device.memory_bytes = properties.totalGlobalMem;
    device.major = properties.major;
    device.minor = properties.minor;
    devices.push_back(device);
  }
  return devices;
}

std::string try_out(int device) {
  int* sum = nullptr;
  int result = 0;
  auto status = cudaSetDevice(device);
  if (status == cudaSuccess) status = cudaMalloc(&sum, sizeof *sum);
  if (status == cudaSuccess) status = cudaMemset(sum, 0, sizeof *sum);
  if (status == cudaSuccess) {
    sum_of_threads<<<1, block>>>(sum);
    status = cudaGetLastError();
  }
  if (status == cudaSuccess) status = cudaMemcpy(&result, sum, sizeof result, cudaMemcpyDeviceToHost);
  if (sum != nullptr) static_cast<void>(cudaFree(sum));
  if (status != cudaSuccess) return cudaGetErrorString(status);
  if (result != block * (block - 1) / 2) return "a small kernel gave a wrong sum";
  return "";
}

}  // namespace
}  // namespace perfpipe

extern "C" const perfpipe::CudaDeviceTable* perfpipe_cuda_devices() {
  static const perfpipe::CudaDeviceTable table{perfpipe::list, perfpipe::try_out, perfpipe::runtime_version,
                                               perfpipe::driver_version};
  return &table;
}
