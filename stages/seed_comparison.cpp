#include "stages/seed_comparison.hpp"

#include "core/error.hpp"
#include "core/parameters.hpp"
#include "stages/statistics.hpp"

#include <cmath>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

namespace perfpipe {
namespace {

using nlohmann::ordered_json;

constexpr std::uintmax_t max_results_bytes = 64u << 20;

std::string label_of(const std::string& parameter) {
  for (Parameter p : all_parameters)
    if (name(p) == parameter) return std::string(facts(p).label);
  return parameter;
}

/// RMSE of the patients that both rows have.
struct Pairs {
  std::vector<double> a, b;
};
Pairs common_patients(const ordered_json& row, const ordered_json& other) {
  Pairs pairs;
  for (const auto& p : row.at("patients"))
    for (const auto& q : other.at("patients"))
      if (p.at("patient") == q.at("patient")) {
        pairs.a.push_back(p.at("rmse"));
        pairs.b.push_back(q.at("rmse"));
      }
  return pairs;
}

ordered_json compare_row(const ordered_json& row, const Pairs& pairs) {
  double squares = 0.0;
  for (std::size_t i = 0; i < pairs.a.size(); ++i) squares += (pairs.a[i] - pairs.b[i]) * (pairs.a[i] - pairs.b[i]);
  const double seed_sd = std::sqrt(squares / static_cast<double>(pairs.a.size()) / 2.0);
  const double sd_a = mean_sd(pairs.a).sd, sd_b = mean_sd(pairs.b).sd;
  const double fold_sd = std::sqrt((sd_a * sd_a + sd_b * sd_b) / 2.0);
  const char* verdict = fold_sd >= 2.0 * seed_sd ? "larger" : fold_sd <= 0.5 * seed_sd ? "smaller" : "alike";
  return {{"maker", row.at("maker")},
          {"parameter", row.at("parameter")},
          {"units", row.at("units")},
          {"patients", pairs.a.size()},
          {"armse", mean_sd(pairs.a).mean},
          {"other_armse", mean_sd(pairs.b).mean},
          {"fold_sd", fold_sd},
          {"seed_sd", seed_sd},
          {"verdict", verdict}};
}

std::string in_words(const ordered_json& rows) {
  std::string text = "Differences between patients against those between seeds (SD of the RMSE):";
  for (const auto& row : rows)
    text +=
        fmt::format("{} {} {} ({:.3g} and {:.3g} {})", &row == &rows.front() ? "" : ",", label_of(row.at("parameter")),
                    row.at("verdict").get<std::string>(), row.at("fold_sd").get<double>(),
                    row.at("seed_sd").get<double>(), row.at("units").get<std::string>());
  return text + ".";
}

}  // namespace

std::filesystem::path results_file(const std::filesystem::path& output) { return output / "tables" / "results.json"; }

ordered_json read_results(const std::filesystem::path& output) {
  const auto file = results_file(output);
  std::error_code error;
  const auto size = std::filesystem::is_regular_file(file, error) ? std::filesystem::file_size(file, error) : 0;
  if (error || size == 0)
    throw InputError(file.string() +
                     ": is missing or empty; give the output folder of a finished run with `evaluation`");
  if (size > max_results_bytes)
    throw InputError(fmt::format("{}: has {} bytes: at most {} are allowed", file.string(), size, max_results_bytes));
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  auto json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("errors"))
    throw InputError(file.string() + ": is not a table of results; give the output folder of a finished run");
  return json;
}

ordered_json compare_seeds(const ordered_json& results, const ordered_json& other, const std::string& source) {
  try {
    ordered_json rows = ordered_json::array();
    bool common = false;
    std::size_t most_patients = 0;
    for (const auto& row : results.at("errors"))
      for (const auto& same : other.at("errors")) {
        if (row.at("reference") == "truth" || row.at("maker") != same.at("maker") ||
            row.at("reference") != same.at("reference") || row.at("parameter") != same.at("parameter"))
          continue;
        const auto pairs = common_patients(row, same);
        most_patients = std::max(most_patients, pairs.a.size());
        common = true;
        if (pairs.a.size() >= 2 && pairs.a != pairs.b) rows.push_back(compare_row(row, pairs));
      }
    if (!common) throw InputError(source + ": has no errors of the same maps against the same targets as this run");
    if (most_patients < 2)
      throw InputError(
          fmt::format("{}: has {} patient(s) in common with this run: two are needed", source, most_patients));
    if (rows.empty())
      throw InputError(source + ": its errors are this run's own: run it with another seed (--set seed=2)");
    const std::string line = in_words(rows);
    return {{"other", source}, {"rows", rows}, {"line", line}};
  } catch (const ordered_json::exception& error) {
    throw InputError(fmt::format("{}: its results.json is not one of this program's ({}); run that job again", source,
                                 error.what()));
  }
}

}  // namespace perfpipe
