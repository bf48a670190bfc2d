// What a GPU makes of bSVD: the whole way and the kernel alone, beside LibTorch's matrix product on the same GPU.
#include "bench/gpu_volume.hpp"
#include "bench/machine.hpp"
#include "bench/plain_deconvolution.hpp"
#include "core/cuda_library.hpp"
#include "core/parallel.hpp"
#include "model/linear_cuda.hpp"
#include "stages/deconvolution_linear.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace perfpipe::bench {
namespace {

const LinearDeconvolution& method() {
  static const LinearDeconvolution one = bsvd(volume().aif, 1.0, 0.1);
  return one;
}

/// Multiply-adds of a voxel.
double work_of(const gpu::LinearOperator& op) {
  return static_cast<double>(op.rank > 0 ? op.rank * (op.samples + op.length) : op.samples * op.length);
}
/// Bytes of a voxel: its curve there, four maps and whether its delay is negative back.
double bytes_of(const gpu::LinearOperator& op) { return 4.0 * op.samples + 17.0; }

/// The operator as one matrix [L, N].
const std::vector<float>& matrix() {
  static const std::vector<float> one = [] {
    const auto op = method().for_gpu({});
    const auto n = static_cast<std::size_t>(op.samples), length = static_cast<std::size_t>(op.length),
               rank = static_cast<std::size_t>(op.rank);
    if (rank == 0) return std::vector<float>(op.first, op.first + length * n);
    std::vector<float> product(length * n, 0.0f);
    for (std::size_t t = 0; t < length; ++t)
      for (std::size_t i = 0; i < rank; ++i)
        for (std::size_t s = 0; s < n; ++s) product[t * n + s] += op.second[t * rank + i] * op.first[i * n + s];
    return product;
  }();
  return one;
}

/// Curves in the program's memory to four maps there; the least time of a run.
void bsvd_volume(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  const auto op = method().for_gpu({});
  CudaLinearMaps gpu(op, 0);
  std::array<std::vector<float>, 4> maps;
  for (auto& map : maps) map.resize(Volume::voxels);
  const auto run = [&] {
    gpu.compute(volume().curves, volume().inside, usable_cores(), {maps[0], maps[1], maps[2], maps[3]});
  };
  run();
  const double least = least_time(state, run);
  state.counters["GMAC/s"] = 1e-9 * Volume::voxels * work_of(op) / least;
  state.counters["copies_GB/s"] = 1e-9 * Volume::voxels * bytes_of(op) / least;
  state.SetLabel("bSVD, rank " + std::to_string(op.rank) + ", on " + device->name);
}
BENCHMARK(bsvd_volume)->UseManualTime()->Unit(benchmark::kMillisecond);

/// Copies and kernel of a piece, by the GPU's clock.
void bsvd_kernel_alone(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  constexpr int voxels = 131072;
  const auto op = method().for_gpu({});
  const auto& table = cuda_table<gpu::LinearCudaTable>();
  gpu::LinearSession* session = nullptr;
  std::string problem = table.create(0, op, voxels, session);
  gpu::LinearTimes times;
  if (problem.empty()) {
    std::copy_n(volume().curves.data(), voxels * op.samples, table.slot(*session, 0).curves);
    for (auto _ : state) problem = table.measure(*session, 0, voxels, 30, times);
  }
  if (session != nullptr) table.destroy(session);
  if (!problem.empty()) return state.SkipWithError(problem.c_str());
  const auto peak = peak_of(*device);
  state.counters["upload_ms"] = 1e3 * times.upload;
  state.counters["upload_GB/s"] = 1e-9 * voxels * 4.0 * op.samples / times.upload;
  state.counters["kernel_ms"] = 1e3 * times.kernel;
  state.counters["download_ms"] = 1e3 * times.download;
  state.counters["volume_kernel_ms"] = 1e3 * times.kernel * Volume::voxels / voxels;
  state.counters["of_peak"] = voxels * work_of(op) / times.kernel / peak.single;
  state.counters["of_memory"] = voxels * bytes_of(op) / times.kernel / peak.memory;
  state.SetLabel("bSVD on " + std::string(device->name));
}
BENCHMARK(bsvd_kernel_alone)->Iterations(1)->Unit(benchmark::kMillisecond);

/// LibTorch's product of all curves with the whole matrix, and reductions. Argument: 0 with copies, 1 without.
void plain_bsvd(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  const auto run = state.range(0) == 0 ? plain_deconvolution_on_gpu(volume().curves, matrix(), curve_samples)
                                       : plain_deconvolution_alone(volume().curves, matrix(), curve_samples);
  if (!run) return state.SkipWithError("this LibTorch sees no GPU");
  run();
  const double least = least_time(state, run);
  state.counters["GMAC/s"] = 1e-9 * Volume::voxels * static_cast<double>(matrix().size()) / least;
  state.SetLabel(state.range(0) == 0 ? "by LibTorch" : "by LibTorch, without copies");
}
BENCHMARK(plain_bsvd)->Arg(0)->Arg(1)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace perfpipe::bench
