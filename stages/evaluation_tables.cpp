#include "stages/evaluation_tables.hpp"

#include "core/error.hpp"

#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

using nlohmann::ordered_json;
using Fields = std::vector<std::string>;

/// Text with a comma, a quote or a line break in quotes, as RFC 4180 has it.
std::string cell(const ordered_json& value) {
  if (value.is_null()) return "";
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_float()) return fmt::format("{:.9g}", value.get<double>());
  if (value.is_array()) {
    std::string joined;
    for (const auto& one : value) joined += (joined.empty() ? "" : " ") + cell(one);
    return joined;
  }
  if (!value.is_string()) return value.dump();
  const auto text = value.get<std::string>();
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string heading(const Fields& first, const Fields& then = {}) {
  std::string text;
  for (const auto* fields : {&first, &then})
    for (const auto& field : *fields) text += (text.empty() ? "" : ",") + field;
  return text + "\n";
}

std::string cells(const ordered_json& row, const Fields& fields, bool begins = true) {
  std::string text;
  for (const auto& field : fields) {
    if (!begins) text += ",";
    text += cell(row.at(field));
    begins = false;
  }
  return text;
}

/// A CSV of all rows of `list`.
std::string flat_csv(const ordered_json& list, const Fields& fields) {
  std::string text = heading(fields);
  for (const auto& row : list) text += cells(row, fields) + "\n";
  return text;
}

/// A CSV of the patients of all rows of `list`, each with its row's fields in front.
std::string patient_csv_of(const ordered_json& list, const Fields& of_row, const Fields& of_patient) {
  std::string text = heading(of_row, of_patient);
  for (const auto& row : list)
    for (const auto& patient : row.at("patients"))
      text += cells(row, of_row) + cells(patient, of_patient, false) + "\n";
  return text;
}

double number(const ordered_json& row, const char* field) {
  return row.at(field).is_number() ? row.at(field).get<double>() : std::nan("");
}

/// A number in a column of the summary, "-" where there is none.
std::string column(double value, int width, int decimals) {
  return std::isfinite(value) ? fmt::format("{:>{}.{}f}", value, width, decimals) : fmt::format("{:>{}}", "-", width);
}

}  // namespace

std::string errors_csv(const ordered_json& results) {
  return flat_csv(results.at("errors"), {"maker",
                                         "reference",
                                         "parameter",
                                         "units",
                                         "armse",
                                         "armse_sd",
                                         "percent_of_maximum",
                                         "percent_of_maximum_sd",
                                         "percent_of_reported_maximum",
                                         "percent_of_percentile99",
                                         "percent_of_sd",
                                         "constant_armse",
                                         "constant_armse_sd",
                                         "nearest_armse",
                                         "nearest_armse_sd",
                                         "bias",
                                         "lower_limit",
                                         "upper_limit",
                                         "concordance",
                                         "correlation",
                                         "paper_armse",
                                         "paper_percent_of_maximum",
                                         "paper_percent_of_reported_maximum",
                                         "missing"});
}

std::string patients_csv(const ordered_json& results) {
  return patient_csv_of(
      results.at("errors"), {"maker", "reference", "parameter", "units"},
      {"patient", "voxels", "rmse", "percent_of_maximum", "percent_of_reported_maximum", "percent_of_percentile99",
       "percent_of_sd", "constant_rmse", "nearest_rmse", "bias", "lower_limit", "upper_limit", "correlation",
       "concordance", "reference_mean", "reference_sd", "reference_percentile99"});
}

std::string dice_csv(const ordered_json& results) {
  return patient_csv_of(results.at("dice"), {"maker", "reference", "mask"},
                        {"patient", "dice", "both_empty", "nearest_dice", "volume_ml", "reference_volume_ml"});
}

std::string dice_means_csv(const ordered_json& results) {
  return flat_csv(results.at("dice"), {"maker", "reference", "mask", "dice", "dice_sd", "both_empty", "nearest_dice",
                                       "paper_dice", "paper_dice_sd", "missing"});
}

std::string clinical_csv(const ordered_json& results) {
  return patient_csv_of(results.at("clinical"), {"maker"},
                        {"patient", "tmax_over_4_ml", "tmax_over_6_ml", "tmax_over_8_ml", "tmax_over_10_ml", "core_ml",
                         "mismatch_ml", "mismatch_ratio", "hypoperfusion_intensity_ratio", "normal_cbf"});
}

std::string trainings_csv(const ordered_json& results) {
  return flat_csv(results.at("trainings"),
                  {"stage", "held_out", "parameter", "recipe", "seed", "epochs", "samples", "epoch_of_weights",
                   "validation_rmse", "constant_validation_rmse", "collapsed", "failure"});
}

std::string summary_text(const ordered_json& results) {
  std::string text =
      fmt::format("{:<10} {:<9} {:<6} {:>9} {:>8} {:>8} {:>8} {:>8} {:>10} {:>9}  {}\n", "maps", "against", "", "ARMSE",
                  "SD", "% max", "% p99", "% SD", "constant", "nearest", "units");
  const auto note = [](const ordered_json& row) {
    return row.at("missing").empty() ? std::string() : fmt::format("  INCOMPLETE: without {}", cell(row.at("missing")));
  };
  for (const auto& row : results.at("errors"))
    text += fmt::format("{:<10} {:<9} {:<6} {} {} {} {} {} {} {}  {}{}\n", cell(row.at("maker")),
                        cell(row.at("reference")), cell(row.at("parameter")), column(number(row, "armse"), 9, 3),
                        column(number(row, "armse_sd"), 8, 3), column(number(row, "percent_of_maximum"), 8, 2),
                        column(number(row, "percent_of_percentile99"), 8, 1),
                        column(number(row, "percent_of_sd"), 8, 1), column(number(row, "constant_armse"), 10, 3),
                        column(number(row, "nearest_armse"), 9, 3), cell(row.at("units")), note(row));
  for (const auto& row : results.at("dice"))
    text += fmt::format("{:<10} {:<9} {:<6} Dice {:.3f} ± {:.3f}{}\n", cell(row.at("maker")), cell(row.at("reference")),
                        cell(row.at("mask")), row.at("dice").get<double>(), row.at("dice_sd").get<double>(), note(row));
  if (results.contains("seed_comparison")) text += results.at("seed_comparison").at("line").get<std::string>() + "\n";
  return text;
}

}  // namespace perfpipe
