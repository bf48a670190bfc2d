// Sums whose order is fixed.
#pragma once

#include "model/gpu/block.hpp"

namespace perfpipe::gpu {

/// Sum of `count` numbers by 32 lanes of the first warp, then in order; each thread gets it. `partial` [32] is shared
/// memory, not to be written before the next barrier.
template <class Block, class At>
PERFPIPE_DEVICE double ordered_sum(const Block& block, int count, double* partial, const At& at) {
  block.each_thread([&](int thread) {
    if (thread >= warp_lanes) return;
    double sum = 0.0;
    for (int i = thread; i < count; i += warp_lanes) sum += at(i);
    partial[thread] = sum;
  });
  double sum = 0.0;
  for (int i = 0; i < warp_lanes; ++i) sum += partial[i];
  return sum;
}

}  // namespace perfpipe::gpu
