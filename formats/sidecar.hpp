// The JSON sidecar of a series or a map (BIDS): an object whose numbers are numbers and whose keys stand once.
#pragma once

#include "core/error.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

inline constexpr double min_repetition_time = 0.1;  ///< s
inline constexpr double max_repetition_time = 10.0;
inline constexpr double min_echo_time = 0.001;  ///< s
inline constexpr double max_echo_time = 0.2;
inline constexpr std::size_t max_sidecar_bytes = 1u << 20;

/// What the program uses of a sidecar; all other keys are kept out of the way. Seconds.
struct Sidecar {
  std::optional<double> repetition_time;
  std::optional<double> echo_time;
  std::string units;                  ///< of a map's values; empty if there are none
  std::vector<double> volume_timing;  ///< one time per volume, strictly increasing; empty if there is none
};

/// Reads and checks a sidecar: ranges, types, duplicate keys, RepetitionTime beside VolumeTiming. Each breach is a
/// finding.
Sidecar read_sidecar(const std::filesystem::path& path, Findings& findings);

/// Finding text for a repetition time (s) out of range, or nothing; `field` as the user wrote it.
std::optional<std::string> repetition_time_problem(const std::string& field, double seconds);
/// The same for an echo time; 30 asks whether milliseconds were meant.
std::optional<std::string> echo_time_problem(const std::string& field, double seconds);

}  // namespace perfpipe
