// From the job file's `cohort:` to checked series: all that can be known without reading the voxels of a series.
#pragma once

#include "core/cohort.hpp"
#include "core/config.hpp"
#include "core/error.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace perfpipe {

/// A file that the job file names, and the key and place that name it: "cohort.mask (job.yaml:4:11)", for messages.
struct NamedFile {
  std::filesystem::path path;
  std::string where;
};

/// What the job file says of one patient or of all; what it leaves out is empty. Times in s.
struct PatientOverrides {
  std::optional<double> repetition_time;
  std::optional<double> echo_time;
  std::optional<NamedFile> mask;
  std::optional<NamedFile> aif;
  std::optional<Modality> modality;
  std::optional<SeriesKind> kind;
  std::optional<std::int64_t> baseline;  ///< frames
};

/// A patient named in the job file: `01`, `sub-01` or `sub-01_ses-2`.
struct PatientSelection {
  std::string name;
  std::string where;  ///< place in the job file, for messages
  PatientOverrides overrides;
};

struct CohortOptions {
  std::filesystem::path path;
  std::string where = "cohort.path";       ///< place of the path in the job file, for messages
  std::string layout = "detect";           ///< detect | bids | flat | isles17 | isles24
  PatientOverrides overrides;              ///< for all patients
  std::vector<PatientSelection> patients;  ///< empty: all
  std::string on_error = "stop";           ///< stop | skip
  std::string mask_mode = "auto";          ///< import.mask: auto | file | compute | none
};

/// Reads the job file's `cohort:` value: a path, or a map with the keys path, layout, modality, kind, patients,
/// repetition_time, echo_time, mask, aif, baseline, on_error. `mask_mode` is not read here: it is the import stage's.
CohortOptions read_cohort_options(const ConfigNode& node, Findings& findings);

/// The options as they were resolved, for the outputs' provenance.
nlohmann::ordered_json to_json(const CohortOptions& options);

/// Finds the series and checks headers, sizes, timing, masks, AIF tables and maps (INPUTS: cohort, NIfTI). Whatever is
/// wrong goes to `findings`; with on_error skip a bad series goes to `skipped` instead, unless all are bad. A series
/// with findings is not in the cohort but in `unusable`, with the files that are known of it: what the stages ask of
/// them can be judged too. Throws Error with ExitCode::config if the folder does not exist, or a patient named in the
/// job file is not in it.
Cohort scan_cohort(const CohortOptions& options, Findings& findings, std::vector<Series>& unusable);

}  // namespace perfpipe
