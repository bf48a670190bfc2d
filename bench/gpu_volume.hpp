// What the benches on a GPU have in common: the GPU with what it could do, and a volume to work on.
#pragma once

#include "cluster/cuda_devices.hpp"
#include "model/dense_inference.hpp"

#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

namespace perfpipe::bench {

/// Multiply-adds per second at the highest clock, without sparsity, and bytes per second of its memory, as NVIDIA's
/// data sheets have them; 0 for GPUs that are not there.
struct Peak {
  double single = 0.0, tf32 = 0.0, memory = 0.0;
};
Peak peak_of(const CudaDevice& device);

/// The GPU, or nothing and the benchmark says why.
const CudaDevice* gpu_of(benchmark::State& state);

/// A bolus [70].
void bolus(float* curve, double arrival, double width, double peak);

/// A volume that is all brain.
struct Volume {
  static constexpr std::int64_t ny = 256, nx = 256, nz = 24, voxels = ny * nx * nz;
  std::vector<float> curves, aif;  ///< [voxels, 70], [70]
  std::vector<std::uint8_t> inside = std::vector<std::uint8_t>(voxels, 1);
  Volume();
  CurveSlab slab() const { return {curves, inside, ny, nx}; }
};
const Volume& volume();

}  // namespace perfpipe::bench
