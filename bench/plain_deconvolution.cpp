#include "bench/plain_deconvolution.hpp"

#include <tuple>

#include <ATen/ATen.h>

namespace perfpipe::bench {
namespace {

at::Tensor view_of(std::span<const float> numbers, std::int64_t columns) {
  const auto rows = static_cast<std::int64_t>(numbers.size()) / columns;
  return at::from_blob(const_cast<float*>(numbers.data()), {rows, columns}, at::kFloat);
}

/// [4, voxels]
at::Tensor maps_of(const at::Tensor& curves, const at::Tensor& matrix) {
  const auto residues = at::mm(curves, matrix.t());
  const auto [largest, place] = residues.max(1);
  const auto area = residues.sum(1);
  return at::stack({largest * 6000.0, area * 100.0, area / largest, place.to(at::kFloat)});
}

}  // namespace

std::function<void()> plain_deconvolution_on_gpu(std::span<const float> curves, const std::vector<float>& matrix,
                                                 std::int64_t samples) {
  if (!at::hasCUDA()) return nullptr;
  const auto host = view_of(curves, samples);
  const auto on_gpu = view_of(matrix, samples).to(at::kCUDA);
  return [=] {
    const c10::InferenceMode no_gradients;
    maps_of(host.to(at::kCUDA), on_gpu).to(at::kCPU);
  };
}

std::function<void()> plain_deconvolution_alone(std::span<const float> curves, const std::vector<float>& matrix,
                                                std::int64_t samples) {
  if (!at::hasCUDA()) return nullptr;
  const auto there = view_of(curves, samples).to(at::kCUDA);
  const auto on_gpu = view_of(matrix, samples).to(at::kCUDA);
  return [=] {
    const c10::InferenceMode no_gradients;
    maps_of(there, on_gpu).slice(1, 0, 1).to(at::kCPU);  // a GPU works on while the program does
  };
}

}  // namespace perfpipe::bench
