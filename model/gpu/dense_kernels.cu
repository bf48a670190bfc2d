// The kernels of dense inference: each a body for any block (dense_exact.hpp, dense_tensor.hpp) on CUDA's.
//
// Blocks stay for the whole slab: as many as fit on the device at once share the tiles, so that weights are brought
// into shared memory once for each multiprocessor.
#include "model/gpu/dense_exact.hpp"
#include "model/gpu/dense_kernels.cuh"
#include "model/gpu/dense_tensor_features.hpp"
#include "model/gpu/dense_tensor_layers.hpp"

namespace perfpipe::gpu {
namespace {

constexpr int most_warps = 8, most_threads = most_warps * warp_lanes;

PERFPIPE_DEVICE DeviceBlock this_block() {
  extern __shared__ Quad shared[];
  return DeviceBlock(reinterpret_cast<float*>(shared));
}

__global__ void __launch_bounds__(most_threads, 1) exact_features_kernel(DenseLayers w, DenseSlab slab) {
  exact_features<false>(this_block(), w, slab);
}
__global__ void __launch_bounds__(most_threads, 2) exact_pooled_kernel(DenseLayers w, DenseSlab slab) {
  exact_features<true>(this_block(), w, slab);
}
__global__ void __launch_bounds__(most_threads, 2) exact_windows_kernel(DenseLayers w, DenseSlab slab) {
  exact_windows(this_block(), w, slab);
}
__global__ void __launch_bounds__(most_threads, 1) exact_head_kernel(DenseLayers w, DenseSlab slab) {
  exact_head(this_block(), w, slab);
}
template <int Parts, bool Conv2InShared>
__global__ void __launch_bounds__(most_threads, 1) tensor_features_kernel(DenseLayers w, DenseSlab slab) {
  tensor_features<Parts, false, Conv2InShared>(this_block(), w, slab);
}
template <int Parts>
__global__ void __launch_bounds__(most_threads, Parts == 1 ? 2 : 1)
    tensor_pooled_kernel(DenseLayers w, DenseSlab slab) {
  tensor_features<Parts, true, false>(this_block(), w, slab);
}
template <int Parts>
__global__ void __launch_bounds__(most_threads, Parts == 1 ? 2 : 1)
    tensor_windows_kernel(DenseLayers w, DenseSlab slab) {
  tensor_windows<Parts>(this_block(), w, slab);
}
template <int Parts>
__global__ void __launch_bounds__(most_threads, 1) tensor_head_kernel(DenseLayers w, DenseSlab slab) {
  tensor_head<Parts>(this_block(), w, slab);
}

using Kernel = void (*)(DenseLayers, DenseSlab);

struct Shape {
  Kernel kernel;
  int warps;
  int shared_floats;
  int rows_of_warp;
  const char* name;
};

constexpr int floats_of(const DeviceFacts& device) { return device.shared_bytes / static_cast<int>(sizeof(float)); }

/// As many warps as the shared memory has room for beside what the block shares.
constexpr int warps_in(const DeviceFacts& device, int shared, int of_warp) {
  const int warps = (floats_of(device) - shared) / of_warp;
  return warps < 1 ? 1 : warps > most_warps ? most_warps : warps;
}

Shape features_shape(const DeviceFacts& device, Arithmetic arithmetic, bool pooled) {
  if (arithmetic == Arithmetic::exact) {
    if (pooled)
      return {exact_pooled_kernel, most_warps, exact_pooled_floats(most_warps), exact_rows, "L1 to L3, pooled"};
    const int warps = warps_in(device, exact_conv2_chunk, exact_features_warp);
    return {exact_features_kernel, warps, exact_features_floats(warps), exact_rows, "L1 to L3"};
  }
  const bool twice = arithmetic == Arithmetic::tf32_twice;
  const int without = tensor_features_floats(most_warps, false), with = tensor_features_floats(most_warps, true);
  if (pooled)
    return {twice ? tensor_pooled_kernel<2> : tensor_pooled_kernel<1>, most_warps, without, tensor_rows,
            "L1 to L3, pooled, on tensor cores"};
  if (with <= floats_of(device))
    return {twice ? tensor_features_kernel<2, true> : tensor_features_kernel<1, true>, most_warps, with, tensor_rows,
            "L1 to L3 on tensor cores"};
  return {twice ? tensor_features_kernel<2, false> : tensor_features_kernel<1, false>, most_warps, without, tensor_rows,
          "L1 to L3 on tensor cores"};
}

Shape windows_shape(const DeviceFacts&, Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::exact)
    return {exact_windows_kernel, most_warps, exact_windows_floats(most_warps), exact_rows, "L4"};
  return {arithmetic == Arithmetic::tf32 ? tensor_windows_kernel<1> : tensor_windows_kernel<2>, most_warps,
          tensor_windows_floats(), tensor_rows, "L4 on tensor cores"};
}

Shape head_shape(const DeviceFacts& device, Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::exact) {
    const int warps = warps_in(device, exact_head_shared, exact_head_warp);
    return {exact_head_kernel, warps, exact_head_floats(warps), exact_head_rows, "L6 to L8"};
  }
  return {arithmetic == Arithmetic::tf32 ? tensor_head_kernel<1> : tensor_head_kernel<2>, most_warps,
          tensor_head_floats(), tensor_rows, "L6 to L8 on tensor cores"};
}

void launch(Calls& calls, const DenseLaunch& how, const Shape& shape, int rows, const DenseLayers& layers,
            const DenseSlab& slab) {
  if (!calls.good() || rows == 0) return;
  const int threads = shape.warps * warp_lanes, rows_of_block = shape.warps * shape.rows_of_warp;
  const std::size_t bytes = static_cast<std::size_t>(shape.shared_floats) * sizeof(float);
  int resident = 0;
  calls(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, shape.kernel, threads, bytes), shape.name);
  if (calls.good() && resident == 0) calls(cudaErrorLaunchOutOfResources, shape.name);
  const int tiles = (rows + rows_of_block - 1) / rows_of_block, most = resident * how.device.multiprocessors;
  if (!calls.good()) return;
  DenseLayers w = layers;
  DenseSlab at = slab;
  void* arguments[] = {&w, &at};
  calls(cudaLaunchKernel(reinterpret_cast<const void*>(shape.kernel),
                         dim3(static_cast<unsigned>(tiles < most ? tiles : most)), dim3(static_cast<unsigned>(threads)),
                         arguments, bytes, how.stream),
        shape.name);
}

}  // namespace

DeviceFacts facts_of(Calls& calls, int device) {
  DeviceFacts facts;
  calls(cudaDeviceGetAttribute(&facts.multiprocessors, cudaDevAttrMultiProcessorCount, device),
        "number of multiprocessors");
  calls(cudaDeviceGetAttribute(&facts.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "shared memory of a block");
  return facts;
}

void allow_shared_memory(Calls& calls, const DeviceFacts& device) {
  const auto allow = [&](const Shape& shape) {
    calls(cudaFuncSetAttribute(shape.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               shape.shared_floats * static_cast<int>(sizeof(float))),
          shape.name);
  };
  for (const Arithmetic arithmetic : {Arithmetic::exact, Arithmetic::tf32, Arithmetic::tf32_twice}) {
    for (const bool pooled : {false, true}) allow(features_shape(device, arithmetic, pooled));
    allow(windows_shape(device, arithmetic));
    allow(head_shape(device, arithmetic));
  }
}

void launch_features(Calls& calls, const DenseLaunch& how, const DenseLayers& layers, const DenseSlab& slab) {
  launch(calls, how, features_shape(how.device, how.arithmetic, how.pooled), slab.rows, layers, slab);
}
void launch_windows(Calls& calls, const DenseLaunch& how, const DenseLayers& layers, const DenseSlab& slab) {
  launch(calls, how, windows_shape(how.device, how.arithmetic), slab.slices * (slab.ny + 1) * (slab.nx + 1), layers,
         slab);
}
void launch_head(Calls& calls, const DenseLaunch& how, const DenseLayers& layers, const DenseSlab& slab) {
  launch(calls, how, head_shape(how.device, how.arithmetic), slab.rows - 1, layers, slab);
}

}  // namespace perfpipe::gpu
