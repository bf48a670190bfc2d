// The dense inference engine: whole slices at the rate of a matrix product.
#pragma once

#include "model/bicnn.hpp"
#include "model/dense_kernel.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// The kernels that this machine can run, the fastest first; the last is always the portable one.
std::vector<const DenseKernel*> dense_kernels();

/// A faster kernel of less precision (within 1e-3 of a map's range), if this machine has one: AMX with bfloat16. Null
/// elsewhere.
const DenseKernel* fast_dense_kernel();

/// Tissue curves of whole slices.
struct CurveSlab {
  std::span<const float> curves;         ///< [slices, ny, nx, 70] concentration; what is outside is never read
  std::span<const std::uint8_t> inside;  ///< [slices, ny, nx] brain mask, not 0 inside
  std::int64_t ny = 0;
  std::int64_t nx = 0;
  std::int64_t first_slice = 0;  ///< its place in the volume, for messages
};

/// A network and the patient's AIF, ready to estimate that patient's maps. Equal to ReferenceEngine up to rounding with
/// 12.8 times fewer operations (113,152 multiply-adds for a voxel, or 77,312 with max-pooling): L2 and L3 of the tissue
/// chain do not depend on the patch that a voxel is seen in, so they are computed once for each voxel, and L4 once for
/// each 2x2 window; the AIF chain, the same for all voxels, becomes a part of fc6's bias. Neighbours outside the brain
/// or the image have a zero curve (model/patches.hpp), whose features are a constant of the network.
class DenseNetwork {
 public:
  /// `source` names the weights in messages; `aif` [70] in the unit of the curves. Throws InputError if the weights are
  /// not a network of ours or the AIF cannot be scaled, std::invalid_argument for an AIF of another length.
  DenseNetwork(const WeightFile& weights, const std::string& source, std::span<const float> aif,
               const DenseKernel& kernel = *dense_kernels().front());
  ~DenseNetwork();
  DenseNetwork(DenseNetwork&&) noexcept;
  DenseNetwork& operator=(DenseNetwork&&) noexcept;

  const WeightFacts& facts() const;

  /// The map [slices, ny, nx] in the parameter's units, clamped to >= 0, and 0 outside. Uses up to `threads` threads. A
  /// voxel's bits depend on the curves of its neighbourhood and the AIF alone: not on threads, slab, or other voxels.
  /// `features` is memory to work in, kept between calls: dense_bytes() of it. Throws std::invalid_argument for sizes
  /// that do not fit, InputError for curves or an estimate out of range.
  std::vector<float> estimate(const CurveSlab& slab, int threads, std::vector<float>& features) const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

/// Bytes of memory that DenseNetwork::estimate() works in, for one slice.
std::int64_t dense_bytes(std::int64_t ny, std::int64_t nx);

}  // namespace perfpipe
