#include "stages/resampling.hpp"

#include "core/simd.hpp"

#include <algorithm>
#include <array>

namespace perfpipe {
namespace {

struct Taps {
  std::array<std::int32_t, 4> frame{};
  std::array<double, 4> weight{};
};

template <std::size_t Taps>
[[gnu::always_inline]] inline void weighted_sums(const float* curve, const std::int32_t* frames, const double* weights,
                                                 std::size_t samples, float* resampled) {
  for (std::size_t i = 0; i < samples; ++i) {
    double sum = 0.0;
    for (std::size_t j = 0; j < Taps; ++j)
      sum += weights[j * samples + i] * static_cast<double>(curve[frames[j * samples + i]]);
    resampled[i] = static_cast<float>(sum);
  }
}

PERFPIPE_SIMD void resample(const float* __restrict__ curve, const std::int32_t* __restrict__ frames,
                            const double* __restrict__ weights, std::size_t samples, bool cubic,
                            float* __restrict__ resampled) {
  if (cubic)
    weighted_sums<4>(curve, frames, weights, samples, resampled);
  else
    weighted_sums<2>(curve, frames, weights, samples, resampled);
}

}  // namespace

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

Resampler::Resampler(std::span<const double> times, const TimeGrid& grid, bool cubic)
    : samples_(static_cast<std::size_t>(grid.samples)),
      cubic_(cubic),
      frames_((cubic ? 4 : 2) * samples_),
      weights_(frames_.size()) {
  const auto last = static_cast<std::int32_t>(times.size()) - 1;
  const auto put = [&](std::int64_t sample, const Taps& taps) {
    for (std::size_t j = 0, at = static_cast<std::size_t>(sample); at < frames_.size(); ++j, at += samples_) {
      frames_[at] = taps.frame[j];
      weights_[at] = taps.weight[j];
    }
  };
  for (std::int64_t i = 0; i < grid.samples; ++i) {
    const double t = grid.start + static_cast<double>(i) * grid.dt;
    Taps taps;
    const auto after = std::upper_bound(times.begin(), times.end(), t);
    if (after == times.begin() || after == times.end()) {
      taps.frame.fill(after == times.begin() ? 0 : last);
      taps.weight[0] = 1.0;
      put(i, taps);
      continue;
    }
    const auto k = static_cast<std::int32_t>(after - times.begin()) - 1;
    const auto at = [&](std::int32_t frame) { return times[static_cast<std::size_t>(frame)]; };
    const double h = at(k + 1) - at(k), u = (t - at(k)) / h;
    if (!cubic) {
      taps = {{k, k + 1, k, k}, {1.0 - u, u, 0.0, 0.0}};
    } else {
      // Hermite basis. The tangent at a frame is that of the parabola through it and its neighbours (at the ends the
      // slope of the only interval): each interval's slope weighs by the length of the other.
      const double h00 = (1 + 2 * u) * (1 - u) * (1 - u), h10 = u * (1 - u) * (1 - u), h01 = u * u * (3 - 2 * u),
                   h11 = u * u * (u - 1);
      const std::int32_t before = std::max(k - 1, 0), beyond = std::min(k + 2, last);
      const double h_before = at(k) - at(before), h_beyond = at(beyond) - at(k + 1);
      const double left = k > before ? h10 * h * (h / (h_before + h)) / h_before : 0.0;
      const double right = beyond > k + 1 ? h11 * h * (h / (h_beyond + h)) / h_beyond : 0.0;
      const double middle = h10 * (k > before ? h_before / (h_before + h) : 1.0) +
                            h11 * (beyond > k + 1 ? h_beyond / (h_beyond + h) : 1.0);
      taps = {{before, k, k + 1, beyond}, {-left, h00 + left - middle, h01 + middle - right, right}};
    }
    put(i, taps);
  }
}

void Resampler::apply(std::span<const float> curve, std::span<float> resampled) const {
  resample(curve.data(), frames_.data(), weights_.data(), samples_, cubic_, resampled.data());
}

}  // namespace perfpipe
