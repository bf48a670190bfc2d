// Time of four maps for each voxel by each method: curves of 70 samples with noise, on one core. `floor` is the time
// over that of 9,800 multiply-adds (a dense 140x70 operator, bSVD written down plainly) at the machine's sgemm rate,
// for all methods, so that they can be compared; `us/voxel` is the time itself.
#include "bench/machine.hpp"
#include "core/random.hpp"
#include "stages/deconvolution_methods.hpp"
#include "stages/phantom_curves.hpp"

#include <string>

namespace perfpipe::bench {
namespace {

constexpr std::size_t samples = 70;

struct Curves {
  std::vector<float> aif;
  std::vector<float> tissue;
};

/// Tissue of all residue functions, delays to 6 s, SNR about 50.
Curves simulated(std::size_t voxels) {
  Curves curves;
  ArterialInput input;
  std::vector<double> times, curve(samples);
  for (std::size_t t = 0; t < samples; ++t) {
    times.push_back(static_cast<double>(t));
    curves.aif.push_back(static_cast<float>(input.at(times.back())));
  }
  BolusConvolution convolution(input, times.back());
  Random random(1, "bench");
  for (std::size_t v = 0; v < voxels; ++v) {
    convolution.tissue({random.uniform(10.0, 60.0), random.uniform(3.0, 12.0), random.uniform(0.0, 6.0), 0.0,
                        static_cast<Residue>(v % 4)},
                       1.04 / 0.73, times, curve);
    for (double c : curve) curves.tissue.push_back(static_cast<float>(c + 0.7 * random.normal()));
  }
  return curves;
}

/// Maps of `voxels` voxels on `threads` threads.
std::function<void()> four_maps(const Curves& curves, const DeconvolutionOptions& options, int threads) {
  std::shared_ptr<Deconvolution> method = make_deconvolution(options, curves.aif, 1.0);
  const std::size_t voxels = curves.tissue.size() / samples;
  auto maps = std::make_shared<std::array<std::vector<float>, 4>>();
  for (auto& map : *maps) map.resize(voxels);
  return [=, &curves] {
    deconvolve(*method, curves.tissue, {}, voxels, {}, threads,
               {{(*maps)[0], (*maps)[1], (*maps)[2], (*maps)[3]}, {}, {}});
    benchmark::DoNotOptimize(maps->data());
  };
}

void method(benchmark::State& state, const std::string& name, const DeconvolutionOptions& options, std::size_t voxels) {
  const auto curves = simulated(voxels);
  run_beside_floor(state, 9800.0 * static_cast<double>(voxels), four_maps(curves, options, 1));
  state.SetLabel(name);
  state.SetItemsProcessed(static_cast<std::int64_t>(voxels) * state.iterations());
  state.counters["us/voxel"] = 9.8 / state.counters["GMAC/s"];
}

/// What a second core brings: `speedup`, time on one thread over time on two, in turns; `work`, computing time of both
/// threads together over that of one. On a machine that others use, the first is theirs too; the second is 1 where the
/// threads do not hinder each other (in memory, or as halves of one core), and leaves 2 / work as the speedup.
void two_threads(benchmark::State& state, const DeconvolutionOptions& options, std::size_t voxels) {
  const auto curves = simulated(voxels);
  const auto one = four_maps(curves, options, 1), two = four_maps(curves, options, 2);
  double ratio = 0.0, alone = 1e9, together = 1e9;
  for (auto _ : state) {
    const auto least = least_times({one, two}, 15);
    state.SetIterationTime(least[1]);
    ratio = least[0] / least[1];
    for (int round = 0; round < 15; ++round) {
      alone = std::min(alone, process_seconds_of(one));
      together = std::min(together, process_seconds_of(two));
    }
  }
  state.counters["speedup"] = ratio;
  state.counters["work"] = together / alone;
}

DeconvolutionOptions named(const std::string& method) {
  DeconvolutionOptions options;
  options.method = method;
  return options;
}

const bool registered = [] {
  for (const std::string name : {"bsvd", "ssvd", "dsvd", "osvd", "tikhonov", "gp", "bayes", "gamma_variate"}) {
    const std::size_t voxels = name == "bayes" ? 512 : name == "bsvd" || name == "ssvd" ? 16384 : 2048;
    benchmark::RegisterBenchmark(("deconvolution/" + name).c_str(), method, name, named(name), voxels)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
  auto standard = named("tikhonov");
  standard.form = "standard";
  benchmark::RegisterBenchmark("deconvolution/tikhonov_standard", method, "tikhonov, standard form", standard, 2048)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
  for (const std::string name : {"bsvd", "osvd", "bayes"})
    benchmark::RegisterBenchmark(("two_threads/" + name).c_str(), two_threads, named(name),
                                 name == "bayes" ? std::size_t{4096} : std::size_t{65536})
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
}  // namespace perfpipe::bench
