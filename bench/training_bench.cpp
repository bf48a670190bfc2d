// A training by the paper's recipe beside the floor of its arithmetic, beside the same with undivided mini-batches, and
// beside plain LibTorch: 3-D convolutions and autograd, as the paper's table has the network.
#include "bench/machine.hpp"
#include "core/random.hpp"
#include "model/optimiser.hpp"
#include "model/training.hpp"
#include "model/training_batches.hpp"
#include "model/training_network.hpp"

#include <array>
#include <cmath>
#include <numeric>

#include <torch/torch.h>

namespace perfpipe::bench {
namespace {

constexpr std::int64_t patients = 10, samples = 2000;

/// Samples of boluses of many shapes; nine patients of ten would be a fold of the paper's cohort.
struct Set {
  std::vector<float> curves = std::vector<float>(curve_samples, 0.0f), aifs, targets;
  std::vector<std::int32_t> neighbours, patient;
  Set() {
    Random random(1, "training bench");
    const auto bolus = [&](std::vector<float>& to, double arrival, double width, double peak) {
      for (std::int64_t t = 0; t < curve_samples; ++t) {
        const double x = std::max(0.0, (static_cast<double>(t) - arrival) / width);
        to.push_back(static_cast<float>(peak * std::pow(x, 3.0) * std::exp(3.0 * (1.0 - x)) + random.uniform(0, 0.01)));
      }
    };
    for (std::int64_t p = 0; p < patients; ++p) bolus(aifs, 8.0, 4.0, 60.0);
    for (std::int64_t s = 0; s < samples; ++s) {
      for (std::int64_t i = 0; i < patch_positions; ++i) {
        neighbours.push_back(static_cast<std::int32_t>(curves.size() / curve_samples));
        bolus(curves, random.uniform(8, 14), random.uniform(4, 9), random.uniform(0.2, 3));
      }
      patient.push_back(static_cast<std::int32_t>(random.below(patients)));
      targets.push_back(static_cast<float>(random.uniform(2, 10)));
    }
  }
  PatchSet view() const { return {curves, neighbours, patient, aifs, targets}; }
};

Recipe recipe(Parameter p, std::int64_t batch) {
  Recipe r;
  r.parameter = p;
  r.learning_rate = 1e-6;
  r.input_scale = 10.0;
  r.epochs = 1;
  r.batch = batch;
  r.stream = "bench";
  return r;
}

/// Multiply-adds of a sample, forward and backward, with the AIF chain shared: the first layer needs no gradient of its
/// input.
double floor_of(Parameter p) {
  const double conv1 = 9.0 * 35 * 36 * 32, conv2 = p == Parameter::cbf ? 0.0 : 9.0 * 35 * 32 * 32;
  return 2 * conv1 + 3 * conv2 + 3 * (4.0 * 128 * 32 + 2 * 128.0 * 128 + 128);
}

/// Arguments: parameter, mini-batch.
void training(benchmark::State& state) {
  const auto p = static_cast<Parameter>(state.range(0));
  const Set set;
  const auto r = recipe(p, state.range(1));
  run_beside_floor(state, floor_of(p) * samples, [&] { benchmark::DoNotOptimize(train(r, set.view(), PatchSet{})); });
  state.counters["us/sample"] = floor_of(p) / state.counters["GMAC/s"] * 1e-3;
  state.SetLabel(std::string(name(p)) + ", batch " + std::to_string(r.batch));
}
BENCHMARK(training)->ArgsProduct({{0, 2}, {50, 256}})->UseManualTime()->Unit(benchmark::kMillisecond);

/// Some epochs without shards and their exact sum.
void train_undivided(const Recipe& r, const PatchSet& set) {
  TrainingNetwork network(architecture_of(r.parameter));
  Batches batches(set, r.parameter, r.input_scale);
  AlignedFloats weights(network.size()), gradient;
  const auto initial = network.arrange(flatten(initial_weights(architecture_of(r.parameter), 1, "bench")));
  std::copy(initial.begin(), initial.end(), weights.data());
  OptimiserState optimiser;
  const auto batch = static_cast<std::size_t>(r.batch);
  const std::size_t steps = (set.samples() + batch - 1) / batch;
  std::vector<std::size_t> order;
  for (std::size_t step = 0; step < steps * static_cast<std::size_t>(r.epochs); ++step) {
    if (step % steps == 0) order = epoch_order(set.samples(), 1, "bench", static_cast<std::int64_t>(step / steps));
    const std::size_t first = step % steps * batch;
    const std::span all(order.data() + first, std::min(batch, order.size() - first));
    const std::size_t patients_here = batches.choose(all);
    network.begin(weights.span(), batches.aifs(), true);
    gradient.resize(network.gradient_size(patients_here));
    for (std::size_t i = 0; i < all.size(); i += samples_at_once) {
      const std::size_t here = std::min(samples_at_once, all.size() - i);
      const auto estimates = network.estimate(batches.gather(i, here, network.curves()));
      std::array<float, samples_at_once> d{};
      for (std::size_t s = 0; s < here; ++s)
        d[s] = 2.0f / static_cast<float>(all.size()) * (estimates[s] - static_cast<float>(batches.target(i + s)));
      network.add_gradient({d.data(), here}, i == 0, gradient.span().first(network.shard_size(patients_here)));
    }
    network.finish_gradient(gradient.span());
    const auto whole = gradient.span().first(network.size());
    benchmark::DoNotOptimize(squared_norm(whole));  // for the log, as a training has it
    sgd_step(weights.span(), whole, r.learning_rate, r.momentum, r.dampening, optimiser);
  }
}

/// Counter: the time with shards over that without, in turns.
void shards_against_undivided(benchmark::State& state) {
  const auto p = static_cast<Parameter>(state.range(0));
  const Set set;
  auto r = recipe(p, state.range(1));
  r.epochs = 10;  // as in the paper: what a training does once, as checking its samples, counts as little as there
  std::vector<double> least;
  for (auto _ : state)
    least = least_times(
        {[&] { benchmark::DoNotOptimize(train(r, set.view(), PatchSet{})); }, [&] { train_undivided(r, set.view()); }},
        8);
  state.counters["times_slower"] = least[0] / least[1];
  state.SetLabel(std::string(name(p)) + ", batch " + std::to_string(r.batch));
}
BENCHMARK(shards_against_undivided)->ArgsProduct({{0, 2}, {50, 256}})->Iterations(1)->Unit(benchmark::kMillisecond);

/// The network as the paper's table has it, in LibTorch.
struct PlainNetwork : torch::nn::Module {
  explicit PlainNetwork(bool pooled) : pooled_(pooled) {
    for (int c = 0; c < 2; ++c) {
      const auto layer = [&](const std::string& name, auto options) {
        return register_module(name + std::to_string(c), torch::nn::Conv3d(options));
      };
      conv1_[c] = layer("conv1", torch::nn::Conv3dOptions(1, 32, {1, 1, 36}));
      if (!pooled) conv2_[c] = layer("conv2", torch::nn::Conv3dOptions(32, 32, {1, 1, 35}));
      conv3_[c] = layer("conv3", torch::nn::Conv3dOptions(32, 32, {2, 2, 1}));
    }
    fc6_ = register_module("fc6", torch::nn::Linear(256, 128));
    fc7_ = register_module("fc7", torch::nn::Linear(128, 128));
    fc8_ = register_module("fc8", torch::nn::Linear(128, 1));
  }
  torch::Tensor chain(int c, const torch::Tensor& patch) {
    auto h = torch::relu(conv1_[c](patch));
    h = pooled_ ? torch::max_pool3d(h, {1, 1, 35}) : torch::relu(conv2_[c](h));
    return torch::relu(conv3_[c](h)).flatten(1);
  }
  torch::Tensor forward(const torch::Tensor& ctc, const torch::Tensor& aif) {
    const auto l6 = torch::relu(fc6_(torch::cat({chain(0, ctc), chain(1, aif)}, 1)));
    return fc8_(torch::relu(fc7_(l6))).flatten();
  }
  bool pooled_;
  std::array<torch::nn::Conv3d, 2> conv1_{nullptr, nullptr}, conv2_{nullptr, nullptr}, conv3_{nullptr, nullptr};
  torch::nn::Linear fc6_{nullptr}, fc7_{nullptr}, fc8_{nullptr};
};

/// Counters: microseconds for a sample of both, and how many times faster ours is.
void against_libtorch(benchmark::State& state) {
  torch::set_num_threads(1);
  const auto p = static_cast<Parameter>(state.range(0));
  const Set set;
  const auto r = recipe(p, 50);
  PlainNetwork network(p == Parameter::cbf);
  torch::optim::SGD optimiser(network.parameters(), torch::optim::SGDOptions(1e-6).momentum(0.9).dampening(0.9));
  constexpr int steps = 4;
  const auto ctc = torch::rand({50, 1, 3, 3, 70}), aif = torch::rand({50, 1, 3, 3, 70}), target = torch::rand({50});
  const auto plain = [&] {
    for (int step = 0; step < steps; ++step) {
      optimiser.zero_grad();
      torch::mse_loss(network.forward(ctc, aif), target).backward();
      optimiser.step();
    }
  };
  std::vector<double> least;
  for (auto _ : state)
    least = least_times({[&] { benchmark::DoNotOptimize(train(r, set.view(), PatchSet{})); }, plain}, 10);
  const double ours = least[0] / samples, theirs = least[1] / (50 * steps);
  state.counters["us/sample"] = 1e6 * ours;
  state.counters["libtorch_us/sample"] = 1e6 * theirs;
  state.counters["times_faster"] = theirs / ours;
  state.SetLabel(std::string(name(p)));
}
BENCHMARK(against_libtorch)->Arg(0)->Arg(2)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace perfpipe::bench
