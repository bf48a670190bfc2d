// The results of an evaluation as tables: CSV files, and the text that the program prints at its end. All take what
// to_json (evaluation_results.hpp) gives; a number that does not exist is an empty cell.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace perfpipe {

std::string errors_csv(const nlohmann::ordered_json& results);
std::string patients_csv(const nlohmann::ordered_json& results);
/// Dice of each patient.
std::string dice_csv(const nlohmann::ordered_json& results);
/// Dice over the patients: mean, SD, and the paper's.
std::string dice_means_csv(const nlohmann::ordered_json& results);
std::string clinical_csv(const nlohmann::ordered_json& results);
std::string trainings_csv(const nlohmann::ordered_json& results);
/// The table that the program prints at its end.
std::string summary_text(const nlohmann::ordered_json& results);

}  // namespace perfpipe
