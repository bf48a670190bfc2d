// The dense inference engine beside the floor of its arithmetic, beside the reference engine, and on two cores.
#include "bench/machine.hpp"
#include "bench/patchwise.hpp"
#include "model/dense_inference.hpp"
#include "model/inference.hpp"
#include "model/patches.hpp"

#include <cmath>

namespace perfpipe::bench {
namespace {

constexpr std::int64_t ny = 64, nx = 64, voxels = ny * nx;

WeightFile network(Parameter p) {
  auto tensors = initial_weights(architecture_of(p), 1, "bench");
  for (auto& tensor : tensors)
    if (tensor.name == "fc8.bias") tensor.values = {1.0f};  // else half of all estimates would be cut off at 0
  return make_weight_file({p, 10.0, "bench", {}, "0"}, std::move(tensors));
}

/// One slice that is all brain: boluses of many shapes.
struct Slice {
  std::vector<float> curves = std::vector<float>(voxels * curve_samples), aif = std::vector<float>(curve_samples);
  std::vector<std::uint8_t> inside = std::vector<std::uint8_t>(voxels, 1);
  Slice() {
    const auto bolus = [](float* curve, double arrival, double peak) {
      for (std::int64_t t = 0; t < curve_samples; ++t) {
        const double x = std::max(0.0, (static_cast<double>(t) - arrival) / 5.0);
        curve[t] = static_cast<float>(peak * std::pow(x, 3.0) * std::exp(3.0 * (1.0 - x)));
      }
    };
    for (std::int64_t v = 0; v < voxels; ++v)
      bolus(curves.data() + v * curve_samples, 8.0 + static_cast<double>(v % 13), 0.5 + static_cast<double>(v % 7));
    bolus(aif.data(), 8.0, 60.0);
  }
  CurveSlab slab() const { return {curves, inside, ny, nx}; }
};

/// Multiply-adds of a voxel: L2 and L3 once, one 2x2 window, the tissue half of fc6, fc7, fc8.
double floor_of(Parameter p) {
  const double convolution = architecture_of(p) == Architecture::max_pool ? 0.0 : 35.0 * 32 * 32;
  return static_cast<double>(voxels) * (35.0 * 36 * 32 + convolution + 128.0 * 32 + 128.0 * 128 + 128.0 * 128 + 128);
}

/// Arguments: parameter, kernel (0: the machine's fastest).
void dense(benchmark::State& state) {
  const auto p = static_cast<Parameter>(state.range(0));
  const auto kernels = dense_kernels();
  const auto which = static_cast<std::size_t>(state.range(1));
  if (which >= kernels.size()) return state.SkipWithError("this machine has no such kernel");
  const Slice slice;
  const DenseNetwork engine(network(p), "bench", slice.aif, *kernels[which]);
  std::vector<float> features;
  run_beside_floor(state, floor_of(p), [&] { benchmark::DoNotOptimize(engine.estimate(slice.slab(), 1, features)); });
  state.counters["ns/voxel"] = floor_of(p) / state.counters["GMAC/s"] / voxels;
  state.SetLabel(std::string(name(p)) + ", " + kernels[which]->name);
}
BENCHMARK(dense)->ArgsProduct({{0, 1}, {0, 1, 2}})->UseManualTime()->Unit(benchmark::kMillisecond);

/// The fast kernel beside the exact one, in turns, on one core; counters: how many times faster, and the largest
/// difference in parts of the map's largest value.
void fast(benchmark::State& state) {
  const auto p = static_cast<Parameter>(state.range(0));
  if (fast_dense_kernel() == nullptr) return state.SkipWithError("this machine has no fast kernel");
  const Slice slice;
  const DenseNetwork exact(network(p), "bench", slice.aif), fast(network(p), "bench", slice.aif, *fast_dense_kernel());
  std::vector<float> features;
  double least[2] = {1e9, 1e9};
  for (auto _ : state)
    for (int round = 0; round < 100; ++round) {
      least[0] = std::min(least[0], own_seconds_of([&] { exact.estimate(slice.slab(), 1, features); }));
      least[1] = std::min(least[1], own_seconds_of([&] { fast.estimate(slice.slab(), 1, features); }));
    }
  const auto right = exact.estimate(slice.slab(), 1, features), found = fast.estimate(slice.slab(), 1, features);
  float largest = 0.0f, difference = 0.0f;
  for (std::size_t v = 0; v < right.size(); ++v) {
    largest = std::max(largest, right[v]);
    difference = std::max(difference, std::abs(right[v] - found[v]));
  }
  state.counters["times_faster"] = least[0] / least[1];
  state.counters["ns/voxel"] = 1e9 * least[1] / voxels;
  state.counters["difference"] = difference / largest;
  state.SetLabel(std::string(name(p)));
}
BENCHMARK(fast)->Arg(0)->Arg(1)->Iterations(1)->Unit(benchmark::kMillisecond);

/// The dense engine and the reference engine in turns; counter: how many times faster.
void against_reference(benchmark::State& state) {
  const auto p = static_cast<Parameter>(state.range(0));
  const Slice slice;
  const DenseNetwork engine(network(p), "bench", slice.aif);
  const ReferenceEngine reference(network(p));
  std::vector<float> rows(curve_samples, 0.0f), features;
  rows.insert(rows.end(), slice.curves.begin(), slice.curves.end());
  std::vector<std::int32_t> neighbours;
  for (std::int64_t v = 0; v < voxels; ++v)
    for (const std::int64_t at : patch_positions_of(v / nx, v % nx, ny, nx))
      neighbours.push_back(static_cast<std::int32_t>(at + 1));
  double least[2] = {1e9, 1e9};
  for (auto _ : state)
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 5; ++i)
        least[0] = std::min(least[0], own_seconds_of([&] { engine.estimate(slice.slab(), 1, features); }));
      least[1] = std::min(least[1], own_seconds_of([&] { reference.estimate(rows, neighbours, slice.aif); }));
    }
  state.counters["times_faster"] = least[1] / least[0];
  state.SetLabel(std::string(name(p)));
}
BENCHMARK(against_reference)->Arg(0)->Arg(1)->Iterations(1)->Unit(benchmark::kMillisecond);

/// The dense engine and the network as 3D convolutions patch by patch, in turns, on one core; arguments: parameter,
/// batch.
void against_patchwise(benchmark::State& state) {
  const auto p = static_cast<Parameter>(state.range(0));
  const Slice slice;
  const DenseNetwork engine(network(p), "bench", slice.aif);
  std::vector<float> features;
  const auto patchwise = patchwise_network(p, voxels, state.range(1));
  patchwise();
  double dense = 1e9, patches = 1e9;
  for (auto _ : state)
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 5; ++i)
        dense = std::min(dense,
                         own_seconds_of([&] { benchmark::DoNotOptimize(engine.estimate(slice.slab(), 1, features)); }));
      patches = std::min(patches, own_seconds_of(patchwise));
    }
  state.counters["times_faster"] = patches / dense;
  state.counters["us/patch"] = 1e6 * patches / voxels;
  state.SetLabel(std::string(name(p)) + ", batches of " + std::to_string(state.range(1)));
}
BENCHMARK(against_patchwise)->ArgsProduct({{0, 1}, {64, 512}})->Iterations(1)->Unit(benchmark::kMillisecond);

/// One and two threads in turns; counter: how many times faster two are.
void two_threads(benchmark::State& state) {
  const Slice one;
  constexpr std::size_t slices = 4;  // as in a job: threads are started for a slab, not for a slice
  std::vector<float> curves;
  for (std::size_t i = 0; i < slices; ++i) curves.insert(curves.end(), one.curves.begin(), one.curves.end());
  const std::vector<std::uint8_t> inside(slices * voxels, 1);
  const CurveSlab slab{curves, inside, ny, nx};
  const DenseNetwork engine(network(Parameter::mtt), "bench", one.aif);
  std::vector<float> features;
  const auto run = [&](int threads) {
    return [&, threads] { benchmark::DoNotOptimize(engine.estimate(slab, threads, features)); };
  };
  std::vector<double> least;
  for (auto _ : state) least = least_times({run(1), run(2)}, 100);
  state.counters["times_faster"] = least[0] / least[1];
}
BENCHMARK(two_threads)->Iterations(1)->Unit(benchmark::kMillisecond);

/// What a patient costs before the first voxel: weights read and packed, the AIF chain, fc6's bias.
void preparation(benchmark::State& state) {
  const Slice slice;
  const auto weights = network(Parameter::mtt);
  for (auto _ : state) benchmark::DoNotOptimize(DenseNetwork(weights, "bench", slice.aif));
}
BENCHMARK(preparation)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace perfpipe::bench
