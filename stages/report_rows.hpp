// Reading rows of an evaluation's results (evaluation_results.hpp) for the report's tables.
#pragma once

#include "stages/report_sections.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe::report_rows {

using Json = nlohmann::ordered_json;

inline std::string label_of(const std::string& parameter) {
  for (Parameter p : all_parameters)
    if (name(p) == parameter) return std::string(facts(p).label);
  return parameter;
}

inline std::string text(const Json& row, const char* field) { return row.at(field).get<std::string>(); }
inline double number(const Json& row, const char* field) {
  return row.at(field).is_number() ? row.at(field).get<double>() : std::nan("");
}
inline std::string shown(const Json& row, const char* field, int digits = 3) {
  return shown_number(number(row, field), digits);
}

/// "0.830 ± 0.109", or "–" where the fields are null.
inline std::string shown_dice(const Json& row, const char* mean, const char* sd) {
  return row.at(mean).is_null() ? "–" : fmt::format("{:.3f} ± {:.3f}", number(row, mean), number(row, sd));
}

using Pair = std::pair<std::string, std::string>;  ///< maker, reference

/// The pairs (maker, reference) in the order of the results.
inline std::vector<Pair> pairs_of(const Json& results) {
  std::vector<Pair> pairs;
  for (const auto& row : results.at("errors")) {
    const std::pair pair{text(row, "maker"), text(row, "reference")};
    if (std::find(pairs.begin(), pairs.end(), pair) == pairs.end()) pairs.push_back(pair);
  }
  // Against the targets first: that is what the paper reports.
  std::stable_partition(pairs.begin(), pairs.end(), [](const auto& pair) { return pair.second != "truth"; });
  return pairs;
}

inline bool of_pair(const Json& row, const Pair& pair) {
  return text(row, "maker") == pair.first && text(row, "reference") == pair.second;
}

inline std::string against(const Pair& pair) {
  return maker_title(pair.first) + " against " +
         (pair.second == "truth" ? "the simulated truth" : maker_title(pair.second));
}

}  // namespace perfpipe::report_rows
