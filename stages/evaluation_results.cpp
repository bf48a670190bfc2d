#include "stages/evaluation_results.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

using nlohmann::ordered_json;

/// Dice of the paper's masks, mean and SD over its patients (section V.D).
constexpr std::array<double, 2> paper_dice(Parameter mask) {
  return mask == Parameter::cbf ? std::array{0.830, 0.109} : std::array{0.811, 0.071};
}

ordered_json optional_json(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

/// 100 part / whole; null for an empty whole.
ordered_json percent(double part, double whole) {
  return whole > 0.0 ? ordered_json(100.0 * part / whole) : ordered_json(nullptr);
}

ordered_json patient_json(const PatientErrors& p, Parameter parameter) {
  const auto& f = facts(parameter);
  const double rmse = p.agreement.rmse();
  return {{"patient", p.patient},
          {"voxels", p.agreement.count()},
          {"rmse", rmse},
          {"percent_of_maximum", percent(rmse, f.paper_maximum)},
          {"percent_of_reported_maximum", percent(rmse, f.reported_maximum)},
          {"percent_of_percentile99", percent(rmse, p.percentile99)},
          {"percent_of_sd", percent(rmse, p.agreement.sd_of_reference())},
          {"constant_rmse", p.constant_rmse},
          {"nearest_rmse", p.nearest ? ordered_json(p.nearest->rmse()) : ordered_json(nullptr)},
          {"bias", p.agreement.bias()},
          {"lower_limit", p.agreement.bias() - 1.96 * p.agreement.sd_of_differences()},
          {"upper_limit", p.agreement.bias() + 1.96 * p.agreement.sd_of_differences()},
          {"correlation", p.agreement.correlation()},
          {"concordance", p.agreement.concordance()},
          {"reference_mean", p.agreement.mean_reference()},
          {"reference_sd", p.agreement.sd_of_reference()},
          {"reference_percentile99", p.percentile99}};
}

template <class Patients>
ordered_json missing_from(const std::vector<std::string>& cohort, const Patients& patients) {
  ordered_json missing = ordered_json::array();
  for (const auto& name : cohort)
    if (std::none_of(patients.begin(), patients.end(), [&](const auto& p) { return p.patient == name; }))
      missing.push_back(name);
  return missing;
}

ordered_json table_json(const ErrorTable& table, const std::vector<std::string>& cohort) {
  std::vector<double> rmse, constant, nearest, sd, p99, bias, sd_of_differences, concordance, correlation;
  ordered_json patients = ordered_json::array();
  for (const auto& p : table.patients) {
    rmse.push_back(p.agreement.rmse());
    constant.push_back(p.constant_rmse);
    if (p.nearest) nearest.push_back(p.nearest->rmse());
    sd.push_back(p.agreement.sd_of_reference());
    p99.push_back(p.percentile99);
    bias.push_back(p.agreement.bias());
    sd_of_differences.push_back(p.agreement.sd_of_differences());
    concordance.push_back(p.agreement.concordance());
    correlation.push_back(p.agreement.correlation());
    patients.push_back(patient_json(p, table.parameter));
  }
  const auto& f = facts(table.parameter);
  const auto armse = mean_sd(rmse), constant_armse = mean_sd(constant), nearest_armse = mean_sd(nearest);
  const bool against_truth = table.reference == "truth";  // which the paper had not
  // Of some of the patients only, the baseline's mean would be of another cohort than the row's.
  const bool has_nearest = !nearest.empty() && nearest.size() == rmse.size();
  const auto paper = [&](double value) { return against_truth ? ordered_json(nullptr) : ordered_json(value); };
  return {{"maker", table.maker},
          {"reference", table.reference},
          {"parameter", f.name},
          {"units", f.units},
          {"armse", armse.mean},
          {"armse_sd", armse.sd},
          {"percent_of_maximum", percent(armse.mean, f.paper_maximum)},
          {"percent_of_maximum_sd", percent(armse.sd, f.paper_maximum)},
          {"percent_of_reported_maximum", percent(armse.mean, f.reported_maximum)},
          {"percent_of_percentile99", percent(armse.mean, mean_sd(p99).mean)},
          {"percent_of_sd", percent(armse.mean, mean_sd(sd).mean)},
          {"constant_armse", constant_armse.mean},
          {"constant_armse_sd", constant_armse.sd},
          {"nearest_armse", has_nearest ? ordered_json(nearest_armse.mean) : ordered_json(nullptr)},
          {"nearest_armse_sd", has_nearest ? ordered_json(nearest_armse.sd) : ordered_json(nullptr)},
          {"bias", mean_sd(bias).mean},
          {"lower_limit", mean_sd(bias).mean - 1.96 * mean_sd(sd_of_differences).mean},
          {"upper_limit", mean_sd(bias).mean + 1.96 * mean_sd(sd_of_differences).mean},
          {"concordance", mean_sd(concordance).mean},
          {"correlation", mean_sd(correlation).mean},
          {"paper_armse", paper(f.paper_armse)},
          {"paper_percent_of_maximum", paper(100.0 * f.paper_armse / f.paper_maximum)},
          {"paper_percent_of_reported_maximum", paper(100.0 * f.paper_armse / f.reported_maximum)},
          {"missing", missing_from(cohort, table.patients)},
          {"patients", patients}};
}

ordered_json overlap_json(const OverlapTable& table, const std::vector<std::string>& cohort) {
  std::vector<double> dice, nearest;
  std::int64_t both_empty = 0;
  ordered_json patients = ordered_json::array();
  for (const auto& p : table.patients) {
    dice.push_back(p.overlap.dice());
    if (p.nearest) nearest.push_back(p.nearest->dice());
    both_empty += p.overlap.both_empty();
    patients.push_back({{"patient", p.patient},
                        {"dice", p.overlap.dice()},
                        {"both_empty", p.overlap.both_empty()},
                        {"nearest_dice", p.nearest ? ordered_json(p.nearest->dice()) : ordered_json(nullptr)},
                        {"volume_ml", static_cast<double>(p.overlap.b) * p.voxel_ml},
                        {"reference_volume_ml", static_cast<double>(p.overlap.a) * p.voxel_ml}});
  }
  const auto summary = mean_sd(dice);
  const bool against_truth = table.reference == "truth",
             has_nearest = !nearest.empty() && nearest.size() == dice.size();
  const auto paper = paper_dice(table.parameter);
  return {{"maker", table.maker},
          {"reference", table.reference},
          {"mask", name(table.parameter)},
          {"dice", summary.mean},
          {"dice_sd", summary.sd},
          {"both_empty", both_empty},
          {"nearest_dice", has_nearest ? ordered_json(mean_sd(nearest).mean) : ordered_json(nullptr)},
          {"paper_dice", against_truth ? ordered_json(nullptr) : ordered_json(paper[0])},
          {"paper_dice_sd", against_truth ? ordered_json(nullptr) : ordered_json(paper[1])},
          {"missing", missing_from(cohort, table.patients)},
          {"patients", patients}};
}

ordered_json clinical_json(const ClinicalTable& table) {
  ordered_json patients = ordered_json::array();
  for (const auto& p : table.patients) {
    ordered_json row{{"patient", p.patient}};
    for (std::size_t i = 0; i < hypoperfusion_thresholds.size(); ++i)
      row[fmt::format("tmax_over_{:.0f}_ml", hypoperfusion_thresholds[i])] = p.volumes.hypoperfused_ml(i);
    row["core_ml"] = p.volumes.core_ml();
    row["mismatch_ml"] = p.volumes.mismatch_ml();
    row["mismatch_ratio"] = optional_json(p.volumes.mismatch_ratio());
    row["hypoperfusion_intensity_ratio"] = optional_json(p.volumes.hypoperfusion_intensity_ratio());
    row["normal_cbf"] = p.volumes.normal_cbf();
    patients.push_back(std::move(row));
  }
  return {{"maker", table.maker}, {"patients", patients}};
}

/// How one maker's volumes agree with another's over the patients that both have.
ordered_json volume_agreement(const ordered_json& maker, const ordered_json& reference) {
  ordered_json rows = ordered_json::array();
  for (const char* volume :
       {"tmax_over_4_ml", "tmax_over_6_ml", "tmax_over_8_ml", "tmax_over_10_ml", "core_ml", "mismatch_ml"}) {
    Agreement agreement;
    for (const auto& p : maker.at("patients"))
      for (const auto& r : reference.at("patients"))
        if (p.at("patient") == r.at("patient")) agreement.add(p.at(volume), r.at(volume));
    if (agreement.count() == 0) continue;
    rows.push_back({{"maker", maker.at("maker")},
                    {"reference", reference.at("maker")},
                    {"volume", volume},
                    {"patients", agreement.count()},
                    {"reference_mean_ml", agreement.mean_reference()},
                    {"bias_ml", agreement.bias()},
                    {"lower_limit_ml", agreement.bias() - 1.96 * agreement.sd_of_differences()},
                    {"upper_limit_ml", agreement.bias() + 1.96 * agreement.sd_of_differences()},
                    {"concordance", agreement.concordance()}});
  }
  return rows;
}

ordered_json training_json(const TrainingView& t) {
  const auto root = [](const std::optional<double>& x) {
    return x ? ordered_json(std::sqrt(*x)) : ordered_json(nullptr);
  };
  return {{"stage", t.stage},
          {"held_out", t.held_out},
          {"parameter", name(t.parameter)},
          {"recipe", t.recipe},
          {"seed", t.seed ? ordered_json(*t.seed) : ordered_json(nullptr)},
          {"epochs", t.epochs},
          {"samples", t.samples},
          {"epoch_of_weights", t.epoch_of_weights},
          {"validation_rmse", root(t.best_validation_loss())},
          {"constant_validation_rmse", root(t.constant_loss)},
          {"collapsed", t.collapsed()},
          {"failure", t.failure}};
}

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
  ordered_json json{{"errors", ordered_json::array()},    {"dice", ordered_json::array()},
                    {"clinical", ordered_json::array()},  {"volume_agreement", ordered_json::array()},
                    {"trainings", ordered_json::array()}, {"failures", ordered_json::array()},
                    {"reference", results.reference},     {"conditions", results.conditions.by_factor()}};
  for (const auto& table : results.errors) json["errors"].push_back(table_json(table, results.cohort));
  for (const auto& table : results.overlaps) json["dice"].push_back(overlap_json(table, results.cohort));
  for (const auto& table : results.clinical) json["clinical"].push_back(clinical_json(table));
  for (const auto& maker : json["clinical"])
    for (const auto& reference : json["clinical"]) {
      if (maker == reference || maker.at("maker") == "truth") continue;
      if (reference.at("maker") != results.reference && reference.at("maker") != "truth") continue;
      for (const auto& row : volume_agreement(maker, reference)) json["volume_agreement"].push_back(row);
    }
  for (const auto& training : results.trainings) json["trainings"].push_back(training_json(training));
  for (const auto& failed : results.failures)
    json["failures"].push_back({{"task", failed.task.id()}, {"reason", failed.reason}});
  return json;
}

}  // namespace perfpipe
