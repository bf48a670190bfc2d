// Time of the automatic AIF search in a whole brain on one core: areas of all curves, candidates, clustering. `floor`
// is the time over that of reading the curves once at the machine's copy rate.
#include "bench/machine.hpp"
#include "core/random.hpp"
#include "stages/aif_peruzzo.hpp"
#include "stages/aif_search.hpp"
#include "stages/largest_curves.hpp"
#include "stages/phantom_curves.hpp"

namespace perfpipe::bench {
namespace {

constexpr std::int64_t samples = 60;
constexpr std::size_t voxels = std::size_t{128} * 128 * 20;

/// Every twentieth voxel blood (arteries and veins), the others tissue or air, all with noise.
const std::vector<float>& volume() {
  static const std::vector<float> curves = [] {
    ArterialInput input;
    std::vector<double> times, curve(samples);
    for (std::int64_t t = 0; t < samples; ++t) times.push_back(static_cast<double>(t));
    BolusConvolution convolution(input, times.back());
    Random random(1, "bench");
    std::vector<float> all;
    all.reserve(voxels * samples);
    for (std::size_t v = 0; v < voxels; ++v) {
      const double share = random.uniform();
      if (v % 20 == 0)
        convolution.vein(v % 40 == 0 ? 0.2 : 4.0, v % 40 == 0 ? 0.0 : 3.0, times, curve);
      else
        convolution.tissue({60.0 * share, 4.0, 2.0 * share, 0.0, Residue::exponential}, 1.04 / 0.73, times, curve);
      for (double c : curve) all.push_back(static_cast<float>((v % 20 == 0 ? share : 1.0) * c + 0.7 * random.normal()));
    }
    return all;
  }();
  return curves;
}

std::vector<float> largest(const std::vector<float>& curves, double share) {
  LargestCurves largest(static_cast<std::size_t>(share * static_cast<double>(voxels)), samples);
  for (std::size_t v = 0; v < voxels; ++v) {
    const auto curve = std::span(curves).subspan(v * samples, samples);
    largest.meet(static_cast<std::int64_t>(v), curve, curve_area(curve));
  }
  return largest.take().curves;
}

void search(benchmark::State& state, double share,
            std::vector<std::int64_t> (*select)(std::span<const float>, std::int64_t)) {
  const auto& curves = volume();
  const double least =
      least_time(state, [&] { benchmark::DoNotOptimize(select(largest(curves, share), samples).size()); });
  // A copy reads and writes: reading alone is half of its bytes.
  state.counters["floor"] = least * copy_bandwidth() / (static_cast<double>(curves.size()) * sizeof(float));
}

std::vector<std::int64_t> mouridsen(std::span<const float> curves, std::int64_t length) {
  return mouridsen_select(curves, length);
}

BENCHMARK_CAPTURE(search, mouridsen_128x128x20x60, aif_candidate_share, mouridsen)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(search, peruzzo_128x128x20x60, 1.0, peruzzo_select)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace perfpipe::bench
