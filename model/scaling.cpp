#include "model/scaling.hpp"

#include "core/arrays.hpp"
#include "core/error.hpp"
#include "model/bicnn.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace perfpipe {

float input_factor(std::span<const float> aif, double input_scale) {
  if (aif.empty() || !all_finite(aif))
    throw InputError("AIF: empty or with values that are not finite: a network needs a finite curve");
  const float peak = *std::max_element(aif.begin(), aif.end());
  const double factor = input_scale / static_cast<double>(peak);
  if (!(peak > 0.0f) || !std::isfinite(static_cast<float>(factor)))
    throw InputError("AIF: its peak is " + std::to_string(peak) +
                     ": the inputs of a network are scaled by it, so it must be positive; choose another AIF");
  return static_cast<float>(factor);
}

void scale_curve(std::span<const float> curve, float factor, std::span<float> scaled) {
  std::transform(curve.begin(), curve.end(), scaled.begin(), [factor](float x) { return x * factor; });
}

void scale_patch(std::span<const float> curves, std::span<const std::int32_t> neighbours, float factor,
                 std::span<float> patch) {
  constexpr auto samples = static_cast<std::size_t>(curve_samples);
  for (std::size_t i = 0; i < neighbours.size(); ++i)
    scale_curve(curves.subspan(static_cast<std::size_t>(neighbours[i]) * samples, samples), factor,
                patch.subspan(i * samples, samples));
}

}  // namespace perfpipe
