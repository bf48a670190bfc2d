#include "stages/input_ranges.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

constexpr double margin = 0.05;

void check_value(const InputRanges& training, const char* range, const std::string& label, double value,
                 std::vector<std::string>& found) {
  const auto seen = training.find(range);
  if (seen == training.end()) return;
  const auto& [low, high] = seen->second;
  if (value < low * (1.0 - margin) || value > high * (1.0 + margin))
    found.push_back(
        fmt::format("{} is {:.3g} s; the network was trained on {:.3g} to {:.3g} s", label, value, low, high));
}

}  // namespace

Acquisition acquisition(std::span<const double> times) {
  if (times.size() < 2) throw std::invalid_argument("acquisition: two times or more are needed");
  std::vector<double> gaps;
  for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  return {*middle, times.back() - times.front()};
}

std::optional<Acquisition> acquisition_of(const nlohmann::json& metadata) {
  if (!metadata.is_object() || !metadata.contains("acquired_interval_s") || !metadata.contains("acquired_window_s"))
    return std::nullopt;
  return Acquisition{metadata.at("acquired_interval_s"), metadata.at("acquired_window_s")};
}

std::vector<float> relative_peaks(std::span<const float> curves, std::span<const std::uint8_t> chosen,
                                  std::span<const float> aif) {
  const std::size_t samples = aif.size();
  if (samples == 0 || curves.size() != chosen.size() * samples)
    throw std::invalid_argument("relative_peaks: curves [n, samples], chosen [n] and an AIF [samples] are needed");
  const float peak = *std::max_element(aif.begin(), aif.end());
  std::vector<float> peaks;
  for (std::size_t v = 0; v < chosen.size(); ++v) {
    if (chosen[v] == 0) continue;
    const auto curve = curves.subspan(v * samples, samples);
    peaks.push_back(*std::max_element(curve.begin(), curve.end()) / peak);
  }
  return peaks;
}

void widen(InputRanges& ranges, const std::string& name, double value) {
  const auto [range, added] = ranges.try_emplace(name, InputRange{value, value});
  range->second.low = std::min(range->second.low, value);
  range->second.high = std::max(range->second.high, value);
}

InputRanges united(std::span<const InputRanges> ranges) {
  InputRanges all;
  if (ranges.empty()) return all;
  for (const auto& [name, first] : ranges.front())
    if (std::all_of(ranges.begin(), ranges.end(), [&name = name](const auto& r) { return r.contains(name); }))
      for (const auto& r : ranges) {
        widen(all, name, r.at(name).low);
        widen(all, name, r.at(name).high);
      }
  return all;
}

std::int64_t peaks_beyond(const InputRanges& training, std::span<const float> peaks) {
  const auto seen = training.find(peak_range);
  if (seen == training.end()) return 0;
  const auto low = static_cast<float>(seen->second.low), high = static_cast<float>(seen->second.high);
  return std::count_if(peaks.begin(), peaks.end(), [low, high](float p) { return p < low || p > high; });
}

std::vector<std::string> never_seen(const InputRanges& training, const std::optional<Acquisition>& met,
                                    double share_beyond) {
  std::vector<std::string> found;
  if (met) {
    check_value(training, interval_range, "the time between frames", met->interval_s, found);
    check_value(training, window_range, "the acquired window", met->window_s, found);
  }
  if (share_beyond > margin) {
    const auto& [low, high] = training.at(peak_range);
    found.push_back(
        fmt::format("{:.1f} % of the tissue curves peak at less than {:.3g} or more than {:.3g} of the AIF's peak, "
                    "which the network never saw",
                    100.0 * share_beyond, low, high));
  }
  return found;
}

}  // namespace perfpipe
