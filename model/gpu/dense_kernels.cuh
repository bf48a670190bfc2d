// Launches of the kernels of dense inference.
#pragma once

#include "model/gpu/cuda_call.cuh"
#include "model/gpu/dense_layout.hpp"
#include "model/gpu/dense_slab.hpp"

namespace perfpipe::gpu {

/// What a device is asked about once.
struct DeviceFacts {
  int multiprocessors = 0;
  int shared_bytes = 0;  ///< that one block may have
};
DeviceFacts facts_of(Calls& calls, int device);

/// Allows the kernels their shared memory; before the first launch on a device.
void allow_shared_memory(Calls& calls, const DeviceFacts& device);

/// L1 to L3, L4, and L6 to L8 of a slab, one after the other.
struct DenseLaunch {
  cudaStream_t stream;
  DeviceFacts device;
  Arithmetic arithmetic;
  bool pooled;
};
void launch_features(Calls& calls, const DenseLaunch& launch, const DenseLayers& layers, const DenseSlab& slab);
void launch_windows(Calls& calls, const DenseLaunch& launch, const DenseLayers& layers, const DenseSlab& slab);
void launch_head(Calls& calls, const DenseLaunch& launch, const DenseLayers& layers, const DenseSlab& slab);

}  // namespace perfpipe::gpu
