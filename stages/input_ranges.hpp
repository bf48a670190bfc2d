// What a network saw in training, and what it is now given that it never saw.
#pragma once

#include "model/bicnn.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace perfpipe {

/// How a series was acquired, as a network meets it.
struct Acquisition {
  double interval_s = 0.0;  ///< between frames (the median, where they are uneven): TR
  double window_s = 0.0;    ///< from the first frame to the last
};

/// Of frames at these times (s, increasing, at least two).
Acquisition acquisition(std::span<const double> times);

/// The acquisition behind `tissue_curves`, from the metadata of its artifact; nothing where they do not say.
std::optional<Acquisition> acquisition_of(const nlohmann::json& metadata);

/// The peak of each curve over the peak of the AIF: the size at which a network sees it, but for its own input scale.
/// `curves` [n, 70], `chosen` [n], not 0 where the curve counts; `aif` [70] with a positive peak.
std::vector<float> relative_peaks(std::span<const float> curves, std::span<const std::uint8_t> chosen,
                                  std::span<const float> aif);

/// Names of the ranges in weight files.
inline constexpr const char* interval_range = "repetition_time_s";
inline constexpr const char* window_range = "window_s";
inline constexpr const char* peak_range = "peak_over_aif_peak";

/// Widens the range of this name (a new one where there is none) so that it holds the value.
void widen(InputRanges& ranges, const std::string& name, double value);

/// What any of several networks has seen; of names that all of them have.
InputRanges united(std::span<const InputRanges> ranges);

/// How many of these relative peaks are beyond their range; 0 where there is no such range.
std::int64_t peaks_beyond(const InputRanges& training, std::span<const float> peaks);

/// One sentence, with the numbers, for each way in which a patient is outside what a network was trained on: TR or
/// window more than 5 % beyond their range, or more than 5 % of the curves with a relative peak beyond theirs
/// (`share_beyond`). A range that a weight file does not have is not held against anyone.
std::vector<std::string> never_seen(const InputRanges& training, const std::optional<Acquisition>& acquisition,
                                    double share_beyond);

}  // namespace perfpipe
