#include "stages/evaluation_results.hpp"

#include <fmt/format.h>

namespace perfpipe {
namespace {

using nlohmann::ordered_json;

ordered_json patient_json(const PatientErrors& p) {
  const double spread = 1.96 * p.agreement.sd_of_differences();
  return {{"patient", p.patient},
          {"voxels", p.agreement.count()},
          {"rmse", p.agreement.rmse()},
          {"constant_rmse", p.constant_rmse},
          {"bias", p.agreement.bias()},
          {"limits_of_agreement", {p.agreement.bias() - spread, p.agreement.bias() + spread}},
          {"correlation", p.agreement.correlation()},
          {"concordance", p.agreement.concordance()},
          {"reference_mean", p.agreement.mean_reference()},
          {"reference_sd", p.agreement.sd_of_reference()},
          {"reference_percentile99", p.percentile99}};
}

ordered_json table_json(const ErrorTable& table) {
  std::vector<double> rmse, constant, sd, p99, bias, concordance, correlation;
  ordered_json patients = ordered_json::array();
  for (const auto& p : table.patients) {
    rmse.push_back(p.agreement.rmse());
    constant.push_back(p.constant_rmse);
    sd.push_back(p.agreement.sd_of_reference());
    p99.push_back(p.percentile99);
    bias.push_back(p.agreement.bias());
    concordance.push_back(p.agreement.concordance());
    correlation.push_back(p.agreement.correlation());
    patients.push_back(patient_json(p));
  }
  const auto& f = facts(table.parameter);
  const auto armse = mean_sd(rmse);
  const auto percent_of = [&](double whole) { return whole > 0.0 ? 100.0 * armse.mean / whole : 0.0; };
  return {{"maker", table.maker},
          {"reference", table.reference},
          {"parameter", f.name},
          {"units", f.units},
          {"armse", armse.mean},
          {"armse_sd", armse.sd},
          {"percent_of_maximum", percent_of(f.paper_maximum)},
          {"percent_of_reported_maximum", percent_of(f.reported_maximum)},
          {"percent_of_percentile99", percent_of(mean_sd(p99).mean)},
          {"percent_of_sd", percent_of(mean_sd(sd).mean)},
          {"constant_armse", mean_sd(constant).mean},
          {"bias", mean_sd(bias).mean},
          {"concordance", mean_sd(concordance).mean},
          {"correlation", mean_sd(correlation).mean},
          {"paper_armse", f.paper_armse},
          {"patients", patients}};
}

ordered_json overlap_json(const OverlapTable& table) {
  std::vector<double> dice;
  ordered_json patients = ordered_json::array();
  for (const auto& p : table.patients) {
    dice.push_back(p.overlap.dice());
    patients.push_back({{"patient", p.patient},
                        {"dice", p.overlap.dice()},
                        {"both_empty", p.overlap.both_empty()},
                        {"volume_ml", static_cast<double>(p.overlap.b) * p.voxel_ml},
                        {"reference_volume_ml", static_cast<double>(p.overlap.a) * p.voxel_ml}});
  }
  const auto summary = mean_sd(dice);
  return {{"maker", table.maker}, {"reference", table.reference}, {"mask", name(table.parameter)},
          {"dice", summary.mean}, {"dice_sd", summary.sd},        {"patients", patients}};
}

std::string number(const ordered_json& value) { return fmt::format("{:.9g}", value.get<double>()); }

}  // namespace

void evaluate_constants(EvaluationResults& results) {
  for (auto& table : results.errors)
    for (auto& patient : table.patients) {
      double sum = 0.0;
      int others = 0;
      for (const auto& other : table.patients) {
        if (other.subject == patient.subject) continue;
        sum += other.agreement.mean_reference();
        ++others;
      }
      // With a single subject there is no other: its own mean is the best that a constant can do.
      patient.constant_rmse =
          patient.agreement.rmse_of_constant(others > 0 ? sum / others : patient.agreement.mean_reference());
    }
}

ordered_json to_json(const EvaluationResults& results) {
  ordered_json json{{"errors", ordered_json::array()}, {"dice", ordered_json::array()}};
  for (const auto& table : results.errors) json["errors"].push_back(table_json(table));
  for (const auto& table : results.overlaps) json["dice"].push_back(overlap_json(table));
  return json;
}

std::string errors_csv(const ordered_json& results) {
  static const std::vector<std::string> fields{"armse",
                                               "armse_sd",
                                               "percent_of_maximum",
                                               "percent_of_reported_maximum",
                                               "percent_of_percentile99",
                                               "percent_of_sd",
                                               "constant_armse",
                                               "bias",
                                               "concordance",
                                               "correlation",
                                               "paper_armse"};
  std::string text = "maker,reference,parameter,units";
  for (const auto& field : fields) text += "," + field;
  text += "\n";
  for (const auto& row : results.at("errors")) {
    text += fmt::format("{},{},{},{}", row.at("maker").get<std::string>(), row.at("reference").get<std::string>(),
                        row.at("parameter").get<std::string>(), row.at("units").get<std::string>());
    for (const auto& field : fields) text += "," + number(row.at(field));
    text += "\n";
  }
  return text;
}

std::string patients_csv(const ordered_json& results) {
  static const std::vector<std::string> fields{"rmse",         "constant_rmse",         "bias",
                                               "correlation",  "concordance",           "reference_mean",
                                               "reference_sd", "reference_percentile99"};
  std::string text = "maker,reference,parameter,units,patient,voxels";
  for (const auto& field : fields) text += "," + field;
  text += "\n";
  for (const auto& row : results.at("errors"))
    for (const auto& patient : row.at("patients")) {
      text +=
          fmt::format("{},{},{},{},{},{}", row.at("maker").get<std::string>(), row.at("reference").get<std::string>(),
                      row.at("parameter").get<std::string>(), row.at("units").get<std::string>(),
                      patient.at("patient").get<std::string>(), patient.at("voxels").get<std::int64_t>());
      for (const auto& field : fields) text += "," + number(patient.at(field));
      text += "\n";
    }
  return text;
}

std::string dice_csv(const ordered_json& results) {
  std::string text = "maker,reference,mask,patient,dice,both_empty,volume_ml,reference_volume_ml\n";
  for (const auto& row : results.at("dice"))
    for (const auto& p : row.at("patients"))
      text += fmt::format("{},{},{},{},{},{},{},{}\n", row.at("maker").get<std::string>(),
                          row.at("reference").get<std::string>(), row.at("mask").get<std::string>(),
                          p.at("patient").get<std::string>(), number(p.at("dice")), p.at("both_empty").get<bool>(),
                          number(p.at("volume_ml")), number(p.at("reference_volume_ml")));
  return text;
}

std::string summary_text(const ordered_json& results) {
  std::string text = fmt::format("{:<10} {:<9} {:<6} {:>9} {:>8} {:>8} {:>8} {:>8} {:>10}  {}\n", "maps", "against", "",
                                 "ARMSE", "SD", "% max", "% p99", "% SD", "constant", "units");
  for (const auto& row : results.at("errors"))
    text += fmt::format("{:<10} {:<9} {:<6} {:>9.3f} {:>8.3f} {:>8.2f} {:>8.1f} {:>8.1f} {:>10.3f}  {}\n",
                        row.at("maker").get<std::string>(), row.at("reference").get<std::string>(),
                        row.at("parameter").get<std::string>(), row.at("armse").get<double>(),
                        row.at("armse_sd").get<double>(), row.at("percent_of_maximum").get<double>(),
                        row.at("percent_of_percentile99").get<double>(), row.at("percent_of_sd").get<double>(),
                        row.at("constant_armse").get<double>(), row.at("units").get<std::string>());
  for (const auto& row : results.at("dice"))
    text += fmt::format("{:<10} {:<9} {:<6} Dice {:.3f} ± {:.3f}\n", row.at("maker").get<std::string>(),
                        row.at("reference").get<std::string>(), row.at("mask").get<std::string>(),
                        row.at("dice").get<double>(), row.at("dice_sd").get<double>());
  return text;
}

}  // namespace perfpipe
