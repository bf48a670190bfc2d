// Deconvolution by one matrix for all voxels, on a GPU.
#pragma once

#include "model/gpu/linear_table.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// An operator on a GPU. The maps have the bits of the CPU's deconvolution on a processor with fused multiply-add.
class CudaLinearMaps {
 public:
  /// Copies the operator's matrices. Throws DeviceError where there is no GPU code, no GPU, or not enough memory on it.
  CudaLinearMaps(const gpu::LinearOperator& op, int device);
  /// With another table than the library's: for tests.
  CudaLinearMaps(const gpu::LinearOperator& op, int device, const gpu::LinearCudaTable& table, int voxels_at_once);
  ~CudaLinearMaps();
  CudaLinearMaps(const CudaLinearMaps&) = delete;
  CudaLinearMaps& operator=(const CudaLinearMaps&) = delete;

  /// Whether a GPU has room for the operator: up to some 400 samples.
  static bool fits(const gpu::LinearOperator& op);

  /// CBF, CBV, MTT and Tmax of `curves` [n, N] where `inside` [n] is not 0 (empty: everywhere); elsewhere `maps` [n]
  /// are left as they are. Returns the number of negative delays.
  std::int64_t compute(std::span<const float> curves, std::span<const std::uint8_t> inside, int threads,
                       const std::array<std::span<float>, 4>& maps);

 private:
  void check(const std::string& problem) const;

  const gpu::LinearCudaTable& table_;
  int device_, samples_, most_;
  gpu::LinearSession* session_ = nullptr;
};

}  // namespace perfpipe
