// Which region or condition the voxels of a label map belong to: BIDS' `_dseg.tsv` beside `_dseg.nii.gz`.
#pragma once

#include "core/error.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace perfpipe {

struct LabelTable {
  std::vector<std::string> factors;                ///< columns beside index and name: "snr", "residue"
  std::map<int, std::vector<std::string>> levels;  ///< of each label, one for each factor: "20", "box"
};

/// Reads a tab-separated table with the columns `index` (whole, above 0, each once), `name` (not used) and at least one
/// more. Each breach is a finding with its line.
LabelTable read_label_table(const std::filesystem::path& path, Findings& findings);

/// The text of such a table; a label's name is that of its levels, joined by underscores.
std::string format_label_table(const LabelTable& table);

}  // namespace perfpipe
