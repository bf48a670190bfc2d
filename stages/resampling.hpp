// Resampling in time: true acquisition times to a uniform grid.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// A uniform time grid: sample i at start + i * dt, in s.
struct TimeGrid {
  double start = 0.0;
  double dt = 1.0;
  std::int64_t samples = 70;
};

/// Where the window starts and what is held at its end.
struct GridChoice {
  TimeGrid grid;
  double held_seconds = 0.0;     ///< the end of the grid that lies beyond the last frame: its value is held
  double skipped_seconds = 0.0;  ///< frames left out before the window
};

/// A series that fits starts at its first frame. A longer one starts `lead` s before the bolus arrives, but not later
/// than its end allows. `times` in s, strictly increasing.
GridChoice choose_grid(std::span<const double> times, double dt, std::int64_t samples, double bolus_arrival,
                       double lead);

/// Each grid sample as a weighted sum of up to four frames: linear, or cubic Hermite with the tangents of the parabola
/// through each frame and its neighbours, on the true times (a quadratic comes back exactly, but for the first and last
/// interval). Before the first and after the last frame the end value is held.
class Resampler {
 public:
  Resampler(std::span<const double> times, const TimeGrid& grid, bool cubic);
  /// `curve` [frames] -> `resampled` [samples].
  void apply(std::span<const float> curve, std::span<float> resampled) const;

 private:
  // [2 or 4, samples]: frames that count, and how much.
  std::size_t samples_;
  bool cubic_;
  std::vector<std::int32_t> frames_;
  std::vector<double> weights_;
};

}  // namespace perfpipe
