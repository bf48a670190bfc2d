#include "formats/table.hpp"

#include "core/atomic_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

namespace perfpipe {
namespace {

std::vector<std::string_view> split(std::string_view line, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = line.find(separator);
    parts.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return parts;
    line.remove_prefix(end + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<double> finite_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0.0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || stopped != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

/// Where the two columns stand in the header line; npos for one that is missing or stands twice (with a finding).
struct Columns {
  std::size_t time = std::string_view::npos;
  std::size_t value = std::string_view::npos;
  bool found() const { return time != std::string_view::npos && value != std::string_view::npos; }
};

Columns find_columns(std::string_view line, const std::string& file, Findings& findings) {
  const auto names = split(line, '\t');
  const auto place = [&](std::string_view wanted) {
    const auto is_wanted = [&](std::string_view name) { return trimmed(name) == wanted; };
    const auto first = std::find_if(names.begin(), names.end(), is_wanted);
    const auto count = std::count_if(names.begin(), names.end(), is_wanted);
    if (count == 1) return static_cast<std::size_t>(first - names.begin());
    findings.add(file,
                 fmt::format("{} column \"{}\" in the header line \"{}\"; expected tab-separated columns with time_s "
                             "and value once each",
                             count == 0 ? "no" : "more than one", wanted, line.substr(0, 80)));
    return std::string_view::npos;
  };
  return {place("time_s"), place("value")};
}

}  // namespace

std::optional<AifTable> read_aif_table(const std::filesystem::path& path, Findings& findings) {
  const std::string file = path.string();
  const auto text = read_small_file(path, max_table_bytes, findings);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::optional<Columns> columns;
  AifTable table;
  int line_number = 0;
  for (auto line : split(rest, '\n')) {
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('#') || trimmed(line).empty()) continue;
    if (!columns) {
      columns = find_columns(line, file, findings);
      if (!columns->found()) return std::nullopt;
      continue;
    }
    const auto cells = split(line, '\t');
    const auto number = [&](std::size_t column, const char* name) -> std::optional<double> {
      const auto cell = column < cells.size() ? cells[column] : std::string_view("(missing)");
      const auto value = finite_number(cell);
      if (!value)
        findings.add(file,
                     fmt::format("line {}: {} = {}: expected a finite number", line_number, name, cell.substr(0, 40)));
      return value;
    };
    const auto time = number(columns->time, "time_s");
    const auto value = number(columns->value, "value");
    if (!time || !value) return std::nullopt;
    if (!table.times.empty() && *time <= table.times.back()) {
      findings.add(file, fmt::format("line {}: time_s = {} follows {}: times must be strictly increasing", line_number,
                                     *time, table.times.back()));
      return std::nullopt;
    }
    table.times.push_back(*time);
    table.values.push_back(*value);
  }
  if (!columns || table.times.size() < 2) {
    findings.add(file, fmt::format("holds {} rows: expected a header line with time_s and value, and at least 2 rows",
                                   table.times.size()));
    return std::nullopt;
  }
  if (*std::max_element(table.values.begin(), table.values.end()) <= 0.0) {
    findings.add(file, fmt::format("value: none of the {} is above 0; expected a concentration over time with a bolus",
                                   table.values.size()));
    return std::nullopt;
  }
  return table;
}

void check_aif_coverage(const AifTable& aif, const std::filesystem::path& path, std::span<const double> frame_times,
                        double repetition_time, Findings& findings) {
  const double start = frame_times.front(), end = frame_times.back();
  if (aif.times.front() <= start + repetition_time && aif.times.back() >= end - repetition_time) return;
  findings.add(
      path.string(),
      fmt::format("time_s runs from {} to {} s; it must cover the series, from {} to {} s after its first frame, to "
                  "within one repetition time ({} s); give the curve at the series' own times",
                  aif.times.front(), aif.times.back(), start, end, repetition_time));
}

std::string format_tsv(const std::vector<std::string>& names, const std::vector<std::vector<double>>& columns) {
  if (names.size() != columns.size())
    throw std::invalid_argument(fmt::format("table: {} names for {} columns", names.size(), columns.size()));
  const std::size_t rows = columns.empty() ? 0 : columns.front().size();
  for (const auto& column : columns)
    if (column.size() != rows)
      throw std::invalid_argument(fmt::format("table: columns of {} and {} rows", rows, column.size()));
  std::string text = fmt::format("{}\n", fmt::join(names, "\t"));
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < columns.size(); ++i)
      text += fmt::format("{}{}", columns[i][row], i + 1 == columns.size() ? '\n' : '\t');
  return text;
}

}  // namespace perfpipe
