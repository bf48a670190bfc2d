// Whether patients or random seeds make the difference: two runs of one cross-validation with two seeds.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace perfpipe {

/// Where a run's results are.
std::filesystem::path results_file(const std::filesystem::path& output);

/// The results of another run. Throws InputError naming the file if it is missing, too large, or not ours.
nlohmann::ordered_json read_results(const std::filesystem::path& output);

/// Compares the per-patient RMSE a of `results` with b of `other` (both as to_json gives them), over the patients that
/// both have, for each maker against the targets: `fold_sd`, the root of the mean of the two sample variances over
/// patients, and `seed_sd` = sqrt(mean((a - b)²) / 2), the SD between seeds for one patient. `line` says in words for
/// which parameters patients differ more than seeds (twice or more), less (half or less) or alike. Makers whose results
/// are the same in both runs do not depend on the seed and are left out. `source` names the other run. Throws
/// InputError if there is nothing to compare, or too little: the same seed, no common maker, fewer than two patients.
nlohmann::ordered_json compare_seeds(const nlohmann::ordered_json& results, const nlohmann::ordered_json& other,
                                     const std::string& source);

}  // namespace perfpipe
