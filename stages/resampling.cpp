#include "stages/resampling.hpp"

#include <algorithm>

namespace perfpipe {

GridChoice choose_grid(std::span<const double> times, double dt, std::int64_t samples, double bolus_arrival,
                       double lead) {
  GridChoice choice;
  const double first = times.front(), last = times.back(), window = dt * static_cast<double>(samples - 1);
  choice.grid = {first, dt, samples};
  // A thousandth of a sample covers the rounding of times that are multiples of dt.
  if (last - first > window + dt + 1e-3 * dt) {
    choice.grid.start = std::clamp(bolus_arrival - lead, first, std::max(first, last - window));
    choice.skipped_seconds = choice.grid.start - first;
  }
  choice.held_seconds = std::max(0.0, choice.grid.start + window - last - 1e-3 * dt);
  return choice;
}

Resampler::Resampler(std::span<const double> times, const TimeGrid& grid, bool cubic) {
  const auto last = static_cast<std::int32_t>(times.size()) - 1;
  for (std::int64_t i = 0; i < grid.samples; ++i) {
    const double t = grid.start + static_cast<double>(i) * grid.dt;
    Taps taps;
    const auto after = std::upper_bound(times.begin(), times.end(), t);
    if (after == times.begin() || after == times.end()) {
      taps.frame[0] = after == times.begin() ? 0 : last;
      taps.weight[0] = 1.0;
      taps.count = 1;
      taps_.push_back(taps);
      continue;
    }
    const auto k = static_cast<std::int32_t>(after - times.begin()) - 1;
    const auto at = [&](std::int32_t frame) { return times[static_cast<std::size_t>(frame)]; };
    const double h = at(k + 1) - at(k), u = (t - at(k)) / h;
    if (!cubic) {
      taps = {{k, k + 1, 0, 0}, {1.0 - u, u, 0.0, 0.0}, u == 0.0 ? 1 : 2};
    } else {
      // Hermite basis; the tangent at a frame is the slope between its neighbours (one-sided at the ends).
      const double h00 = (1 + 2 * u) * (1 - u) * (1 - u), h10 = u * (1 - u) * (1 - u), h01 = u * u * (3 - 2 * u),
                   h11 = u * u * (u - 1);
      const std::int32_t before = std::max(k - 1, 0), beyond = std::min(k + 2, last);
      const double tangent0 = h10 * h / (at(k + 1) - at(before)), tangent1 = h11 * h / (at(beyond) - at(k));
      taps = {{before, k, k + 1, beyond}, {-tangent0, h00 - tangent1, h01 + tangent0, tangent1}, 4};
    }
    taps_.push_back(taps);
  }
}

void Resampler::apply(std::span<const float> curve, std::span<float> resampled) const {
  for (std::size_t i = 0; i < taps_.size(); ++i) {
    double sum = 0.0;
    for (int j = 0; j < taps_[i].count; ++j)
      sum += taps_[i].weight[static_cast<std::size_t>(j)] *
             curve[static_cast<std::size_t>(taps_[i].frame[static_cast<std::size_t>(j)])];
    resampled[i] = static_cast<float>(sum);
  }
}

}  // namespace perfpipe
