// The results of an evaluation: numbers, and their form as JSON. evaluation_tables.hpp has the CSV and text.
#pragma once

#include "core/parameters.hpp"
#include "stages/clinical_volumes.hpp"
#include "stages/label_errors.hpp"
#include "stages/statistics.hpp"
#include "stages/training_records.hpp"

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perfpipe {

/// One patient's errors of one maker's map against one reference.
struct PatientErrors {
  std::string patient;
  std::string subject;
  Agreement agreement;
  double percentile99 = 0.0;           ///< of the reference over the mask
  double constant_rmse = 0.0;          ///< of a constant: the mean of the other subjects' reference means
  std::optional<Agreement> nearest{};  ///< of the nearest training curve's target, over the same voxels
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
  std::optional<Overlap> nearest{};  ///< b: the mask of the nearest training curves' targets
};

struct OverlapTable {
  std::string maker;
  std::string reference;
  Parameter parameter = Parameter::cbf;  ///< the map that the mask is made of
  std::vector<PatientOverlap> patients;
};

/// Clinical volumes by one maker ("truth" too), for each patient of whom it has CBF and Tmax.
struct ClinicalTable {
  std::string maker;
  struct Patient {
    std::string patient;
    ClinicalVolumes volumes;
  };
  std::vector<Patient> patients;
};

struct EvaluationResults {
  std::vector<std::string> cohort;  ///< all series that were to be evaluated
  std::string reference;            ///< maker of the targets
  std::vector<ErrorTable> errors;
  std::vector<OverlapTable> overlaps;
  std::vector<ClinicalTable> clinical;
  std::vector<TrainingView> trainings;
  std::vector<FailedInput> failures;
  LabelErrors conditions;  ///< against the truth, by the label maps of phantoms
};

/// Fills constant_rmse of every patient.
void evaluate_constants(EvaluationResults& results);

/// Everything of the tables and the report. For each pair of maker and reference and each parameter: ARMSE (mean over
/// patients of each one's RMSE, not pooled) and its SD over patients, in units and in percent of the paper's maximum,
/// of the denominator behind the paper's printed percentage, of the 99th percentile and of the SD of the reference
/// (means over patients); the same of the paper, of a constant and of the nearest training curve; agreement;
/// `missing`: patients of the cohort that are not in the table. Dice likewise. Clinical volumes by maker, and how they
/// agree with the reference's. Trainings, with those that failed or collapsed. Numbers that do not exist are null.
nlohmann::ordered_json to_json(const EvaluationResults& results);

}  // namespace perfpipe
