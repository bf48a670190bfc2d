#include "stages/aif_quality.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

/// Time that the curve around its peak is above this level, linear between samples.
double time_above(std::span<const float> aif, std::size_t peak, double level) {
  double left = 0.0, right = static_cast<double>(aif.size() - 1);
  for (std::size_t t = peak; t > 0; --t)
    if (aif[t - 1] < level) {
      left = static_cast<double>(t) - (aif[t] - level) / (static_cast<double>(aif[t]) - aif[t - 1]);
      break;
    }
  for (std::size_t t = peak; t + 1 < aif.size(); ++t)
    if (aif[t + 1] < level) {
      right = static_cast<double>(t) + (aif[t] - level) / (static_cast<double>(aif[t]) - aif[t + 1]);
      break;
    }
  return right - left;
}

}  // namespace

AifQuality aif_quality(std::span<const float> aif, double dt) {
  AifQuality q;
  const auto top = std::max_element(aif.begin(), aif.end());
  const auto peak = static_cast<std::size_t>(top - aif.begin());
  q.peak = *top;
  q.time_to_peak = dt * static_cast<double>(peak);
  q.width = dt * time_above(aif, peak, 0.5 * q.peak);
  q.plateau = q.width > 0.0 ? dt * time_above(aif, peak, 0.95 * q.peak) / q.width : 0.0;
  double bends = 0.0;
  for (std::size_t t = 1; t + 1 < aif.size(); ++t) {
    const double bend = (static_cast<double>(aif[t - 1]) - 2.0 * aif[t] + aif[t + 1]) / q.peak;
    bends += bend * bend;
  }
  if (aif.size() > 2) q.roughness = std::sqrt(bends / static_cast<double>(aif.size() - 2));
  // Before the arrival: going back from the peak, the first sample at or below a tenth of it.
  std::size_t arrival = peak;
  while (arrival > 0 && static_cast<double>(aif[arrival]) > 0.1 * q.peak) --arrival;
  double sum = 0.0, squares = 0.0;
  for (std::size_t t = 0; t < arrival; ++t) {
    sum += aif[t] / q.peak;
    squares += (aif[t] / q.peak) * (aif[t] / q.peak);
  }
  if (arrival > 1) {
    const auto n = static_cast<double>(arrival);
    q.baseline_noise = std::sqrt(std::max(0.0, (squares - sum * sum / n) / (n - 1.0)));
  }
  q.score = q.peak / std::max(1e-9, q.width * std::max(q.time_to_peak, dt));
  q.fit = fit_gamma_variate(aif, dt);
  return q;
}

std::vector<std::string> aif_doubts(const AifQuality& q, double duration, std::optional<double> mean_peak_time) {
  std::vector<std::string> doubts;
  const auto doubt = [&](const std::string& what) {
    doubts.push_back("the arterial input function looks poor: " + what +
                     "; see its curve in the report, and give one by "
                     "aif: {method: voxels}, roi or file if it is wrong");
  };
  if (mean_peak_time && q.time_to_peak > *mean_peak_time)
    doubt(fmt::format("late (it peaks at {:.1f} s, the mean over the brain at {:.1f} s)", q.time_to_peak,
                      *mean_peak_time));
  if (q.width > aif_wide)
    doubt(fmt::format("wide ({:.1f} s at half its height; usual are 4 to {:.0f} s)", q.width, aif_wide));
  if (q.baseline_noise > aif_noisy)
    doubt(fmt::format("noisy (its baseline varies by {:.0f} % of its peak)", 100.0 * q.baseline_noise));
  if (q.roughness > aif_rough)
    doubt(fmt::format("rough (from sample to sample it bends by {:.0f} % of its peak)", 100.0 * q.roughness));
  if (q.plateau > aif_saturated_plateau)
    doubt(fmt::format("saturated (it stays near its peak for {:.0f} % of its width; a bolus does for about 26 %)",
                      100.0 * q.plateau));
  if (q.time_to_peak <= 0.0 || q.time_to_peak >= duration) doubt("its peak is at the end of the series");
  return doubts;
}

std::vector<std::int64_t> venous_rows(std::span<const float> curves, std::int64_t samples, std::int64_t aif_peak) {
  const auto n = static_cast<std::int64_t>(curves.size()) / samples;
  std::vector<std::pair<double, std::int64_t>> found;
  for (std::int64_t row = 0; row < n; ++row) {
    const auto curve = curves.subspan(static_cast<std::size_t>(row * samples), static_cast<std::size_t>(samples));
    if (std::max_element(curve.begin(), curve.end()) - curve.begin() <= aif_peak) continue;
    double area = 0.0;
    for (float c : curve) area += c;
    found.emplace_back(-area, row);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < std::min(vof_voxels, found.size()); ++i) rows.push_back(found[i].second);
  return rows;
}

}  // namespace perfpipe
