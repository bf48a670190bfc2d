// Where the files of a series lie, by layout of the cohort folder. Names alone are looked at here, not contents.
#pragma once

#include "core/cohort.hpp"
#include "core/error.hpp"

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace perfpipe {

/// The files found for one series, not yet opened. `findings` holds what is wrong with their names and number.
struct SeriesFiles {
  std::string name;     ///< "sub-01" or "sub-01_ses-2"
  std::string subject;  ///< "sub-01"
  std::string session;  ///< "ses-2" or empty
  std::string alias;    ///< the name in the user's files ("training_1"); may be used to select the patient
  std::filesystem::path image;
  std::filesystem::path sidecar;
  std::filesystem::path mask;
  std::filesystem::path aif;
  std::filesystem::path labels, label_table;
  std::array<std::filesystem::path, 4> truth;
  std::array<std::filesystem::path, 4> target;
  bool vendor_targets = false;  ///< targets were found in perfusion-maps/ (their grid may differ)
  Modality modality = Modality::mr;
  Findings findings;
};

struct LayoutResult {
  std::string layout;
  std::vector<SeriesFiles> series;  ///< sorted by name
  std::vector<std::string> warnings;
};

/// Finds the series below `path` (an existing folder). `layout`: detect | bids | flat | isles17 | isles24. A folder
/// that shows no layout, or holds DICOM, is a finding that says what was looked for.
LayoutResult find_series(const std::filesystem::path& path, const std::string& layout, Findings& findings);

}  // namespace perfpipe
