// The exact sum of gradients: the same bits in whatever order, and on however many ranks, the parts are added.
#pragma once

#include "core/communicator.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// A mini-batch is cut into this many shards of (nearly) equal size, whoever computes them. So many ranks at most share
/// a training. The weights depend on it: another number gives another rounding.
inline constexpr std::int64_t gradient_shards = 4;

/// Sums shards' gradients as fixed-point integers of a common scale: integer sums are associative. The scale is the
/// power of two that leaves room for all shards of this magnitude, so that 48 bits are below the largest value: 24 more
/// than a float has.
class GradientSum {
 public:
  /// `shards` [n, total.size()] are this rank's; `largest` (finite, >= 0) bounds the values of the shards of all ranks.
  /// `group` may be nullptr: this rank has all shards. Collective over the group; `total` gets the same bits on each.
  void sum(std::span<const float> shards, double largest, Communicator* group, std::span<float> total);

 private:
  std::vector<std::int64_t> fixed_;
};

}  // namespace perfpipe
