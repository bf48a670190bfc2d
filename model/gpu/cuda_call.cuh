// Calls of CUDA's runtime, checked: what failed is kept with the operation's name, and calls after it do nothing.
#pragma once

#include <cstddef>
#include <cuda_runtime.h>
#include <string>

namespace perfpipe::gpu {

/// The first thing that went wrong. Not for several threads.
class Calls {
 public:
  bool good() const { return problem_.empty(); }
  const std::string& problem() const { return problem_; }

  Calls& operator()(cudaError_t status, const char* operation) {
    if (status != cudaSuccess && good())
      problem_ = std::string(operation) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")";
    return *this;
  }

 private:
  std::string problem_;
};

/// Memory on the device, or page-locked on the host, freed with its owner.
template <class T, bool OnHost = false>
class Memory {
 public:
  Memory() = default;
  ~Memory() { free(); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Room for `count`; what was there is lost if it must grow.
  void need(Calls& calls, std::size_t count, const char* what) {
    if (count <= count_ || !calls.good()) return;
    free();
    const std::size_t bytes = count * sizeof(T);
    const auto status = OnHost ? cudaMallocHost(reinterpret_cast<void**>(&data_), bytes)
                               : cudaMalloc(reinterpret_cast<void**>(&data_), bytes);
    const std::string operation = std::string(OnHost ? "cudaMallocHost" : "cudaMalloc") + " of " +
                                  std::to_string(bytes >> 20) + " MiB for " + what;
    calls(status, operation.c_str());
    if (status == cudaSuccess)
      count_ = count;
    else
      data_ = nullptr;
  }
  void free() {
    if (data_ != nullptr) static_cast<void>(OnHost ? cudaFreeHost(data_) : cudaFree(data_));
    data_ = nullptr;
    count_ = 0;
  }
  T* data() const { return data_; }
  std::size_t size() const { return count_; }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

template <class T>
using PageLocked = Memory<T, true>;

}  // namespace perfpipe::gpu
