// Tab-separated tables: the arterial input function of a series, and what the program writes out.
#pragma once

#include "core/error.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

inline constexpr std::size_t max_table_bytes = 16u << 20;

/// An arterial input function: times in s from the first acquired frame, values a concentration in the unit of the
/// tissue curves (ΔR2* in 1/s for MR, HU for CT).
struct AifTable {
  std::vector<double> times;
  std::vector<double> values;
};

/// Reads a table with the columns `time_s` and `value` (others ignored, as are lines that start with #; CRLF and a BOM
/// are fine). Times must be finite and strictly increasing, values finite and one at least positive. Each breach is a
/// finding with its line.
std::optional<AifTable> read_aif_table(const std::filesystem::path& path, Findings& findings);

/// Adds a finding unless the table covers the series (frame times in s) to within one repetition time of its start and
/// end.
void check_aif_coverage(const AifTable& aif, const std::filesystem::path& path, std::span<const double> frame_times,
                        double repetition_time, Findings& findings);

/// The text of a table of numbers: header line and rows, tab-separated, each number in the shortest form that reads
/// back the same. `columns[i]` are the values of the column `names[i]`; all of one length.
std::string format_tsv(const std::vector<std::string>& names, const std::vector<std::vector<double>>& columns);

}  // namespace perfpipe
