// What a GPU makes of dense inference and training: time, rate, and part of the GPU's peak, kernel by kernel by its own
// clock, beside LibTorch's plain formulation on the same GPU. tools/bench --gpu.
#include "bench/gpu_volume.hpp"
#include "bench/machine.hpp"
#include "bench/patchwise.hpp"
#include "core/cuda_library.hpp"
#include "core/parallel.hpp"
#include "core/random.hpp"
#include "model/dense_cuda.hpp"
#include "model/gpu/dense_slab.hpp"
#include "model/training_cuda.hpp"

#include <algorithm>
#include <string>

namespace perfpipe::bench {
namespace {

WeightFile network(Parameter p) {
  auto tensors = initial_weights(architecture_of(p), 1, "bench");
  for (auto& tensor : tensors)
    if (tensor.name == "fc8.bias") tensor.values = {1.0f};
  return make_weight_file({p, 10.0, "bench", {}, "0"}, std::move(tensors));
}

std::vector<DenseParameters> all_networks() {
  std::vector<DenseParameters> all;
  for (const Parameter p : all_parameters) all.emplace_back(network(p), "bench", volume().aif);
  return all;
}

// Multiply-adds of a voxel: L1 to L3, a window, the head.
constexpr double conv1 = 35.0 * 36 * 32, conv2 = 35.0 * 32 * 32, windows_work = 128.0 * 32,
                 head_work = 2 * 128.0 * 128 + 128;
constexpr double features_work = 4 * conv1 + 3 * conv2;  // of the four networks: CBF has no conv2

const char* name_of(gpu::Arithmetic a) {
  return a == gpu::Arithmetic::exact ? "exact" : a == gpu::Arithmetic::tf32 ? "TF32" : "TF32, split in two";
}

/// The whole way: curves in the program's memory to four maps there. Argument: arithmetic.
void dense_volume(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  const auto arithmetic = static_cast<gpu::Arithmetic>(state.range(0));
  const int threads = usable_cores();
  CudaDenseNetworks networks(all_networks(), arithmetic, 0);
  networks.estimate(volume().slab(), threads);
  const double least =
      least_time(state, [&] { benchmark::DoNotOptimize(networks.estimate(volume().slab(), threads)); });
  const double work = Volume::voxels * (features_work + 4 * (windows_work + head_work));
  const auto peak = peak_of(*device);
  state.counters["TMAC/s"] = 1e-12 * work / least;
  state.counters["of_peak"] = work / least / (arithmetic == gpu::Arithmetic::exact ? peak.single : peak.tf32);
  state.SetLabel(std::string(name_of(arithmetic)) + " on " + device->name);
}
BENCHMARK(dense_volume)->DenseRange(0, 2)->UseManualTime()->Unit(benchmark::kMillisecond);

/// Kernels and copies of two slices alone, by the GPU's clock. of_peak counts the products that are asked for: split in
/// two, the tensor cores do three for each.
void dense_kernels_alone(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  const auto arithmetic = static_cast<gpu::Arithmetic>(state.range(0));
  const auto& table = cuda_table<gpu::DenseCudaTable>();
  constexpr int slices = 2, voxels = slices * Volume::ny * Volume::nx, rows = voxels + 1;
  std::vector<gpu::DenseNetworkOnGpu> packed;
  for (const auto& one : all_networks()) packed.push_back({gpu::pack_layers(one.weights(), arithmetic), one.factor()});
  gpu::DenseSession* session = nullptr;
  const auto fail = [&](const std::string& problem) {
    if (!problem.empty()) state.SkipWithError(problem.c_str());
    return !problem.empty();
  };
  if (fail(table.create(0, arithmetic, packed, {rows, voxels, slices * (Volume::ny + 1) * (Volume::nx + 1)}, session)))
    return;
  const auto slot = table.slot(*session, 0);
  std::fill_n(slot.curves, curve_samples, 0.0f);
  std::copy_n(volume().curves.data(), static_cast<std::size_t>(voxels) * curve_samples, slot.curves + curve_samples);
  slot.voxel_of[0] = 0;
  for (int v = 0; v < voxels; ++v) slot.voxel_of[slot.row_of[v] = v + 1] = v;
  gpu::DenseTimes times;
  for (auto _ : state)
    if (fail(table.measure(*session, 0, {rows, slices, Volume::ny, Volume::nx}, 30, times))) break;
  table.destroy(session);
  const auto peak = peak_of(*device);
  const double most = arithmetic == gpu::Arithmetic::exact ? peak.single : peak.tf32;
  const double kernels = times.features + times.windows + times.head;
  const double work = voxels * (features_work + 4 * (windows_work + head_work));
  state.counters["upload_ms"] = 1e3 * times.upload;
  state.counters["upload_GB/s"] = 1e-9 * rows * curve_samples * 4.0 / times.upload;
  state.counters["features_ms"] = 1e3 * times.features;
  state.counters["windows_ms"] = 1e3 * times.windows;
  state.counters["head_ms"] = 1e3 * times.head;
  state.counters["download_ms"] = 1e3 * times.download;
  state.counters["features_of_peak"] = voxels * features_work / times.features / most;
  state.counters["head_of_peak"] = voxels * 4 * head_work / times.head / most;
  state.counters["of_peak"] = work / kernels / most;
  state.SetLabel(std::string(name_of(arithmetic)) + " on " + device->name);
}
BENCHMARK(dense_kernels_alone)->DenseRange(0, 2)->Iterations(1)->Unit(benchmark::kMillisecond);

/// LibTorch's 3-D convolutions patch by patch on the same GPU, data there already: time of one voxel and map, beside
/// that of the whole way above. Argument: parameter.
void plain_patches(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  const auto p = static_cast<Parameter>(state.range(0));
  constexpr std::int64_t patches = 65536;
  const auto run = patchwise_network_on_gpu(p, patches, 8192);
  if (!run) return state.SkipWithError("this LibTorch sees no GPU");
  run();
  const double least = least_time(state, run);
  state.counters["ns/voxel"] = 1e9 * least / patches;
  state.counters["volume_ms"] = 1e3 * least / patches * Volume::voxels;
  state.SetLabel(std::string(name(p)) + " by LibTorch");
}
BENCHMARK(plain_patches)->Arg(0)->Arg(2)->UseManualTime()->Unit(benchmark::kMillisecond);

/// A fold's samples; folds share the patients' curves as a study's would.
struct Fold {
  std::vector<float> targets;
  std::vector<std::int32_t> neighbours, patient;
};
struct Study {
  static constexpr std::int64_t patients = 10, curves_of_patient = 20000;
  std::vector<float> curves = std::vector<float>(curve_samples, 0.0f),
                     aifs = std::vector<float>(patients * curve_samples);
  Study() {
    Random random(1, "gpu bench");
    curves.resize((1 + patients * curves_of_patient) * curve_samples);
    for (std::int64_t c = 1; c <= patients * curves_of_patient; ++c)
      bolus(curves.data() + c * curve_samples, random.uniform(8, 14), random.uniform(4, 9), random.uniform(0.2, 3));
    for (std::int64_t p = 0; p < patients; ++p) bolus(aifs.data() + p * curve_samples, 8.0, 4.0, 60.0);
  }
  Fold fold(std::int64_t samples, const std::string& stream) const {
    Random random(1, stream);
    Fold fold;
    for (std::int64_t s = 0; s < samples; ++s) {
      const auto p = static_cast<std::int64_t>(random.below(patients));
      for (int i = 0; i < 9; ++i)
        fold.neighbours.push_back(static_cast<std::int32_t>(
            1 + p * curves_of_patient + static_cast<std::int64_t>(random.below(curves_of_patient))));
      fold.patient.push_back(static_cast<std::int32_t>(p));
      fold.targets.push_back(static_cast<float>(random.uniform(2, 10)));
    }
    return fold;
  }
};

double sample_work(Parameter p) {
  const double second = p == Parameter::cbf ? 0.0 : 9.0 * conv2;
  return 2 * 9.0 * conv1 + 3 * second + 3 * (4.0 * windows_work + head_work);
}

/// The paper's cross-validation: 11 folds of four networks, all together. Arguments: mini-batch, part of the samples in
/// per cent (a whole one with 100); `cross_validation_s` is the time that ten epochs of all samples would take.
void cross_validation(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  constexpr std::int64_t totals[] = {97110, 91950, 87080, 74850};  // CBF, CBV, MTT, Tmax
  constexpr int folds = 11;
  const Study study;
  std::vector<Recipe> recipes(4 * folds);
  std::vector<Fold> samples(4 * folds);
  std::vector<PatchSet> sets(4 * folds);
  const PatchSet none;
  std::vector<TrainingJob> jobs;
  double work = 0.0;
  for (int i = 0; i < 4 * folds; ++i) {
    const auto at = static_cast<std::size_t>(i);
    auto& recipe = recipes[at];
    recipe.parameter = all_parameters[at % 4];
    recipe.batch = state.range(0);
    recipe.epochs = 1;
    recipe.learning_rate = 1e-6;
    recipe.input_scale = 10.0;
    recipe.stream = "bench/" + std::to_string(i);
    const std::int64_t count = totals[i % 4] * state.range(1) / 100;
    samples[at] = study.fold(count, recipe.stream);
    sets[at] = {study.curves, samples[at].neighbours, samples[at].patient, study.aifs, samples[at].targets};
    jobs.push_back({&recipe, &sets[at], &none});
    work += static_cast<double>(count) * sample_work(recipe.parameter);
  }
  const double least = least_time(state, [&] {
    benchmark::DoNotOptimize(train_together(jobs, {0, nullptr, usable_cores()}));
  });
  state.counters["TMAC/s"] = 1e-12 * work / least;
  state.counters["of_peak"] = work / least / peak_of(*device).single;
  state.counters["cross_validation_s"] = least * 10.0 * 100.0 / static_cast<double>(state.range(1));
  state.SetLabel("44 networks, batch " + std::to_string(state.range(0)) + ", on " + device->name);
}
BENCHMARK(cross_validation)
    ->Args({50, 10})
    ->Args({256, 10})
    ->Args({50, 100})
    ->UseManualTime()
    ->Iterations(2)
    ->Unit(benchmark::kMillisecond);

/// A step of 44 networks, kernel by kernel, by the GPU's clock: counters in us.
void training_kernels_alone(benchmark::State& state) {
  const auto* device = gpu_of(state);
  if (device == nullptr) return;
  constexpr int networks = 44, samples = 2048, steps = 20;
  const int batch = static_cast<int>(state.range(0));
  const Study study;
  const Fold fold = study.fold(samples, "kernels");
  const std::vector<float> factors(Study::patients, 1.0f), weights(TrainingLayout(false).size, 0.01f);
  std::vector<gpu::NetworkSource> sources(networks);
  gpu::EpochSource epoch;
  for (int s = 0; s < samples; ++s) epoch.order.push_back(s);
  epoch.rates.assign(static_cast<std::size_t>(2 * samples), 0.0f);
  epoch.start.steps = (samples + batch - 1) / batch;
  epoch.start.bad_step = -1;
  double work = 0.0;
  for (int n = 0; n < networks; ++n) {
    auto& source = sources[static_cast<std::size_t>(n)];
    source.pooled = n % 4 == 0;
    source.batch = batch;
    source.weights = weights.data();
    source.training = {study.curves.data(),
                       study.curves.size() / curve_samples,
                       fold.neighbours.data(),
                       fold.patient.data(),
                       fold.targets.data(),
                       study.aifs.data(),
                       factors.data(),
                       samples,
                       static_cast<int>(Study::patients)};
    work += batch * sample_work(n % 4 == 0 ? Parameter::cbf : Parameter::mtt);
  }
  const auto& table = cuda_table<gpu::TrainingCudaTable>();
  gpu::TrainingSession* session = nullptr;
  std::string problem = table.create(0, sources, {}, session);
  std::vector<std::pair<std::string, double>> seconds;
  for (auto _ : state) {
    for (int n = 0; n < networks && problem.empty(); ++n) problem = table.begin_epoch(*session, n, epoch);
    if (problem.empty()) problem = table.measure(*session, std::min(steps, epoch.start.steps - 1), seconds);
  }
  if (session != nullptr) table.destroy(session);
  if (!problem.empty()) return state.SkipWithError(problem.c_str());
  double total = 0.0;
  for (auto& [kernel, s] : seconds) {
    s /= std::min(steps, epoch.start.steps - 1);
    total += s;
    state.counters[kernel] = 1e6 * s;
  }
  state.counters["step"] = 1e6 * total;
  state.counters["of_peak"] = work / total / peak_of(*device).single;
}
BENCHMARK(training_kernels_alone)->Arg(50)->Arg(256)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace perfpipe::bench
