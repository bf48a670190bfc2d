// Deconvolution as one writes it down with a library of tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace perfpipe::bench {

/// CBF, CBV, MTT and Tmax of `curves` [voxels, N] by LibTorch on its GPU: curves times `matrix` [L, N], and what
/// follows from each residue function's maximum and sum. The whole way: curves from the program's memory, maps to it,
/// waiting for them. Null where LibTorch sees no GPU. What it is given must outlive the function.
std::function<void()> plain_deconvolution_on_gpu(std::span<const float> curves, const std::vector<float>& matrix,
                                                 std::int64_t samples);
/// The same with curves and maps that stay on the GPU.
std::function<void()> plain_deconvolution_alone(std::span<const float> curves, const std::vector<float>& matrix,
                                                std::int64_t samples);

}  // namespace perfpipe::bench
