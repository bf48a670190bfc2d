// The results of an evaluation: numbers, and their forms as CSV, JSON and text.
#pragma once

#include "core/parameters.hpp"
#include "stages/statistics.hpp"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perfpipe {

/// One patient's errors of one maker's map against one reference.
struct PatientErrors {
  std::string patient;
  std::string subject;
  Agreement agreement;
  double percentile99 = 0.0;   ///< of the reference over the mask
  double constant_rmse = 0.0;  ///< of a constant: the mean of the other subjects' reference means
};

struct ErrorTable {
  std::string maker;      ///< "cnn"
  std::string reference;  ///< "bsvd" or "truth"
  Parameter parameter = Parameter::cbf;
  std::vector<PatientErrors> patients;
};

struct PatientOverlap {
  std::string patient;
  Overlap overlap;  ///< a: reference, b: maker
  double voxel_ml = 0.0;
};

struct OverlapTable {
  std::string maker;
  std::string reference;
  Parameter parameter = Parameter::cbf;  ///< the map that the mask is made of
  std::vector<PatientOverlap> patients;
};

struct EvaluationResults {
  std::vector<ErrorTable> errors;
  std::vector<OverlapTable> overlaps;
};

/// Fills constant_rmse of every patient.
void evaluate_constants(EvaluationResults& results);

/// ARMSE (mean over patients of each one's RMSE, not pooled), its SD, and its percentages of the paper's maximum, of
/// the denominator behind the paper's printed percentage, of the 99th percentile and of the SD of the reference (means
/// over patients); the constant predictor's ARMSE; agreement; Dice. Everything of the tables below.
nlohmann::ordered_json to_json(const EvaluationResults& results);

std::string errors_csv(const nlohmann::ordered_json& results);
std::string patients_csv(const nlohmann::ordered_json& results);
std::string dice_csv(const nlohmann::ordered_json& results);
/// The table that the program prints at its end.
std::string summary_text(const nlohmann::ordered_json& results);

}  // namespace perfpipe
