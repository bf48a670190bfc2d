#include "stages/concentration.hpp"

#include "core/logarithm.hpp"
#include "core/simd.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace perfpipe {
namespace {

/// Samples that are not positive (or not a number), or reach the ceiling (or infinity).
PERFPIPE_SIMD int unusable_samples(const float* signal, std::size_t n, float ceiling) {
  int count = 0;
  for (std::size_t t = 0; t < n; ++t) count += !((signal[t] > 0.0f) & (signal[t] < ceiling));
  return count;
}

PERFPIPE_SIMD void relaxation_changes(const float* signal, std::size_t n, double log_s0, double echo_time,
                                      float* concentration) {
#pragma GCC ivdep  // concentration may be the signal, or lie elsewhere
  for (std::size_t t = 0; t < n; ++t)
    concentration[t] = static_cast<float>((log_s0 - positive_log(static_cast<double>(signal[t]))) / echo_time);
}

}  // namespace

std::int64_t unsteady_frames(std::span<const double> mean_signal) {
  constexpr std::size_t most = 4;
  std::size_t frame = 0;
  while (frame < most && frame + 3 < mean_signal.size()) {
    std::array<double, 3> next{mean_signal[frame + 1], mean_signal[frame + 2], mean_signal[frame + 3]};
    std::sort(next.begin(), next.end());
    if (!(mean_signal[frame] > 1.05 * next[1])) break;
    ++frame;
  }
  return static_cast<std::int64_t>(frame);
}

std::int64_t baseline_frames(std::span<const double> mean_signal) {
  const auto n = static_cast<std::int64_t>(mean_signal.size());
  std::int64_t frames = std::min<std::int64_t>(3, n);
  double sum = 0.0;
  for (std::int64_t i = 0; i < frames; ++i) sum += mean_signal[static_cast<std::size_t>(i)];
  while (frames < std::min<std::int64_t>(12, n)) {
    const double mean = sum / static_cast<double>(frames), next = mean_signal[static_cast<std::size_t>(frames)];
    if (std::abs(next - mean) > 0.05 * std::abs(mean)) break;
    sum += next;
    ++frames;
  }
  // The mean over the brain falls by some 5 to 10 % only: frames of early arrival pass the 5 % rule.
  const double base =
      (mean_signal[0] + mean_signal[1 % mean_signal.size()] + mean_signal[2 % mean_signal.size()]) / 3.0;
  double largest = 0.0;
  for (double s : mean_signal) largest = std::max(largest, std::abs(s - base));
  for (std::int64_t i = 3; i < frames; ++i)
    if (std::abs(mean_signal[static_cast<std::size_t>(i)] - base) > 0.03 * largest)
      return std::max<std::int64_t>(3, i - 1);
  return frames;
}

std::int64_t bolus_arrival(std::span<const double> mean_concentration) {
  if (mean_concentration.empty()) return 0;
  const auto peak = std::max_element(mean_concentration.begin(), mean_concentration.end());
  for (auto i = peak - mean_concentration.begin(); i > 0; --i)
    if (mean_concentration[static_cast<std::size_t>(i)] <= 0.1 * *peak) return i;
  return 0;
}

bool concentration_mr(std::span<const float> signal, std::int64_t baseline, double echo_time, float ceiling,
                      std::span<float> concentration) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < baseline; ++i) sum += signal[static_cast<std::size_t>(i)];
  const double s0 = sum / static_cast<double>(baseline);
  if (unusable_samples(signal.data(), signal.size(), ceiling) > 0 || !(s0 > 0.0)) {
    std::fill(concentration.begin(), concentration.end(), 0.0f);
    return false;
  }
  relaxation_changes(signal.data(), signal.size(), positive_log(s0), echo_time, concentration.data());
  return true;
}

bool concentration_ct(std::span<const float> signal, std::int64_t baseline, float ceiling,
                      std::span<float> concentration) {
  double sum = 0.0;
  const bool good = std::all_of(signal.begin(), signal.end(), [&](float s) { return std::isfinite(s) && s < ceiling; });
  for (std::int64_t i = 0; i < baseline; ++i) sum += signal[static_cast<std::size_t>(i)];
  const double base = sum / static_cast<double>(baseline);
  for (std::size_t t = 0; t < signal.size(); ++t) concentration[t] = good ? static_cast<float>(signal[t] - base) : 0.0f;
  return good;
}

}  // namespace perfpipe
