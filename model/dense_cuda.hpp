// Dense inference on a GPU: a patient's volume through several networks at once.
#pragma once

#include "model/dense_inference.hpp"
#include "model/dense_weights.hpp"
#include "model/gpu/dense_table.hpp"

#include <span>
#include <vector>

namespace perfpipe {

/// Networks and the patient's AIF on a GPU. With Arithmetic::exact the maps have the bits of DenseNetwork's kernels
/// with fused multiply-add; tf32 stays within a thousandth of the map's range, tf32_twice within a hundred-thousandth.
/// Whatever the arithmetic, a voxel's bits depend on the curves of its neighbourhood and the AIF alone.
class CudaDenseNetworks {
 public:
  /// Throws DeviceError where there is no GPU code, no GPU, or not enough memory on it.
  CudaDenseNetworks(std::vector<DenseParameters> networks, gpu::Arithmetic arithmetic, int device);
  /// With another table than the library's: for tests.
  CudaDenseNetworks(std::vector<DenseParameters> networks, gpu::Arithmetic arithmetic, int device,
                    const gpu::DenseCudaTable& table, std::int64_t voxels_at_once);
  ~CudaDenseNetworks();
  CudaDenseNetworks(const CudaDenseNetworks&) = delete;
  CudaDenseNetworks& operator=(const CudaDenseNetworks&) = delete;

  const DenseParameters& network(std::size_t i) const { return networks_[i]; }

  /// A map [slices, ny, nx] for each network, as DenseNetwork::estimate() gives it, and with its errors. Curves are
  /// gathered by up to `threads` threads while the GPU computes those before them. Throws DeviceError for what CUDA
  /// finds wrong.
  std::vector<std::vector<float>> estimate(const CurveSlab& slab, int threads);

 private:
  struct Piece {
    std::size_t first_voxel = 0;
    gpu::DensePiece size;
  };
  void prepare(const CurveSlab& slab);
  void fill(const CurveSlab& slab, const Piece& piece, const gpu::DenseSlot& slot, int threads) const;
  void take(const CurveSlab& slab, int which, const Piece& piece, std::vector<std::vector<float>>& maps);
  void check(const std::string& problem) const;

  const gpu::DenseCudaTable& table_;
  gpu::Arithmetic arithmetic_;
  int device_;
  std::int64_t voxels_at_once_;
  std::vector<DenseParameters> networks_;
  gpu::DenseLimits limits_;
  gpu::DenseSession* session_ = nullptr;
};

}  // namespace perfpipe
