// The parts of the report, from plain data: no store, no files.
#pragma once

#include "core/parameters.hpp"
#include "stages/html.hpp"
#include "stages/plots.hpp"
#include "stages/training_records.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perfpipe {

/// Maps of one maker, or the truth; a parameter without a map is empty. (z, y, x), as stored.
struct MapSet {
  std::string label;
  std::array<std::vector<float>, 4> maps;
  std::array<std::vector<float>, 4> spreads = {};  ///< standard deviation over the networks of an ensemble
};

/// Tissue masks of one parameter, by maker.
struct MaskSet {
  std::string label;
  std::vector<std::uint8_t> mask;
};

struct PatientView {
  std::string name;
  std::array<std::int64_t, 3> extent{};  ///< x, y, z
  Flips flips;
  std::vector<std::uint8_t> brain_mask;
  std::vector<MapSet> makers;  ///< in the order of the job: the reference first
  MapSet truth;                ///< all empty where there is none
  /// The slices that the volumes above and below hold, and those of them to be shown; empty: all, and chosen when
  /// shown.
  std::vector<std::int64_t> kept, shown;
  std::array<std::vector<MaskSet>, 4> masks;
  std::array<std::string, 4> mask_titles;  ///< "CBF < 50.2 ml/100g/min"
  PlotLine aif;                            ///< empty where there is none
  PlotLine aif_fit;                        ///< its first passage; may be empty
  PlotLine mean_curve;                     ///< brain mean, on its own scale
  std::string curve_units;
  std::vector<std::uint8_t> aif_voxels;  ///< (z, y, x) mask of all slices; empty where the AIF came from a table
  std::vector<std::string> facts;        ///< lines of text
  std::vector<std::string> warnings;
};

/// "cnn" -> "bi-CNN", "bsvd" -> "bSVD"; other labels as they are.
std::string maker_title(const std::string& label);

/// Headline numbers of the first maker against the first reference, beside the paper's; then what reads them.
void add_overview(HtmlPage& page, const nlohmann::ordered_json& results);

/// ARMSE tables for every pair of maker and reference, and the table of Dice coefficients. `results` as evaluation
/// leaves them (evaluation_results.hpp).
void add_error_tables(HtmlPage& page, const nlohmann::ordered_json& results);

/// RMSE, Dice and volumes of each patient, for every pair of maker and reference.
void add_patient_tables(HtmlPage& page, const nlohmann::ordered_json& results);

/// Clinical volumes of each patient and how they agree with the reference's. Nothing without any.
void add_clinical_tables(HtmlPage& page, const nlohmann::ordered_json& results);

/// Bias and RMSE against the truth by each factor of the phantom's label maps, with plots over the factors that are
/// numbers. Nothing without any.
void add_conditions(HtmlPage& page, const nlohmann::ordered_json& results);

/// Warnings about what is missing or suspicious: tables without some patients, trainings that failed or collapsed.
std::vector<std::string> incomplete_notes(const nlohmann::ordered_json& results);
std::vector<std::string> training_notes(const std::vector<TrainingView>& trainings);

/// Says which trainings had fewer epochs or samples than the paper's; empty if none had.
std::vector<std::string> reduced_budget_notes(const std::vector<TrainingView>& trainings);

/// Course of the trainings (losses, learning rate, gradient norm; all folds of a parameter in one plot) and learned
/// filters of each parameter, and a table of all trainings.
void add_trainings(HtmlPage& page, const std::vector<TrainingView>& trainings);

/// One patient's fold: AIF, maps beside each other with their difference, mask outlines. `ranges` by parameter.
void add_patient(HtmlPage& page, const PatientView& patient, const std::array<DisplayRange, 4>& ranges,
                 std::int64_t slices, bool open);

}  // namespace perfpipe
