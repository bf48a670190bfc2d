// The reference inference engine: the network exactly as trained, patch by patch.
#pragma once

#include "model/bicnn.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// Voxels are evaluated in passes of this many, the last one filled up, so that every matrix product has the same
/// shape. A voxel's bits then depend on its place in its pass alone, not on how many voxels there are or what they
/// hold. (On the place they can: OpenBLAS rounds rows 0-5 and 6-11 of every 12 differently on AVX2 machines.) Work that
/// is to give the same bits however it is divided is divided at multiples of this.
inline constexpr std::size_t inference_block = 64;

class ReferenceNetwork;  // model/torch_library.hpp

/// Estimates a parameter for voxels, each from its own patch. What faster engines are compared with. Its methods may be
/// called from several threads at once; each call computes on the calling thread alone.
class ReferenceEngine {
 public:
  /// `source` names the weights in messages. Throws InputError if they are not a network of ours.
  explicit ReferenceEngine(const WeightFile& weights, const std::string& source = "weights");
  ~ReferenceEngine();
  ReferenceEngine(ReferenceEngine&&) noexcept;
  ReferenceEngine& operator=(ReferenceEngine&&) noexcept;

  const WeightFacts& facts() const;

  /// Estimates in the parameter's units, clamped to >= 0, one for each row of `neighbours`.
  /// `curves` is [curves, 70] concentration with row 0 all zeros, `neighbours` [n, 9] rows of it (y-major, centre 4),
  /// `aif` [70] in the unit of the curves. The voxels of a call can be divided into several calls at multiples
  /// of inference_block without a change of bits.
  /// Throws std::invalid_argument for sizes or indices that do not fit, InputError for an AIF that cannot be scaled or
  /// an estimate that is not finite.
  std::vector<float> estimate(std::span<const float> curves, std::span<const std::int32_t> neighbours,
                              std::span<const float> aif) const;

 private:
  std::unique_ptr<const ReferenceNetwork> network_;
};

}  // namespace perfpipe
