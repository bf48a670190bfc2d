#include "bench/gpu_volume.hpp"

#include "model/bicnn.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace perfpipe::bench {

Peak peak_of(const CudaDevice& device) {
  if (device.major == 9) return {33.5e12, 247e12, device.name.find("H200") != std::string::npos ? 4.8e12 : 3.35e12};
  if (device.major == 8 && device.minor == 0) return {9.75e12, 78e12, device.memory_bytes > 50e9 ? 2.0e12 : 1.55e12};
  return {};
}

const CudaDevice* gpu_of(benchmark::State& state) {
  static std::string problem;
  static const auto devices = visible_cuda_devices(problem);
  if (!devices.empty()) return &devices.front();
  state.SkipWithError(("no GPU: " + problem).c_str());
  return nullptr;
}

void bolus(float* curve, double arrival, double width, double peak) {
  for (std::int64_t t = 0; t < curve_samples; ++t) {
    const double x = std::max(0.0, (static_cast<double>(t) - arrival) / width);
    curve[t] = static_cast<float>(peak * std::pow(x, 3.0) * std::exp(3.0 * (1.0 - x)));
  }
}

Volume::Volume() : curves(voxels * curve_samples), aif(curve_samples) {
  std::vector<float> kinds(997 * curve_samples);
  for (std::int64_t k = 0; k < 997; ++k)
    bolus(kinds.data() + k * curve_samples, 8.0 + 0.013 * static_cast<double>(k), 5.0,
          0.5 + 0.005 * static_cast<double>(k));
  for (std::int64_t v = 0; v < voxels; ++v)
    std::copy_n(kinds.data() + v % 997 * curve_samples, curve_samples, curves.data() + v * curve_samples);
  bolus(aif.data(), 8.0, 5.0, 60.0);
}

const Volume& volume() {
  static const Volume one;
  return one;
}

}  // namespace perfpipe::bench
