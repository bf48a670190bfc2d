// What is known of a cohort once its files have been found and checked: plain data, the same on every rank.
#pragma once

#include "core/parameters.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace perfpipe {

enum class Modality { mr, ct };
enum class SeriesKind { signal, concentration };

/// One perfusion series (a subject's session) with its checked facts. Paths are empty where there is no such file.
struct Series {
  std::string name;     ///< "sub-01" or "sub-01_ses-2": names tasks and outputs
  std::string subject;  ///< "sub-01": leave-one-patient-out holds out the subject, with all its sessions
  std::string session;  ///< "ses-2" or empty
  std::filesystem::path image;
  std::filesystem::path sidecar;
  std::filesystem::path mask;
  std::filesystem::path aif;
  std::array<std::filesystem::path, 4> truth;  ///< simulated truth maps, by parameter index; for evaluation only
  std::filesystem::path labels;       ///< map of regions or conditions for the evaluation, and the table beside it
  std::filesystem::path label_table;  ///< (label_table.hpp); both or neither
  std::array<std::filesystem::path, 4> target;  ///< maps of other software, by parameter index
  Modality modality = Modality::mr;
  SeriesKind kind = SeriesKind::signal;
  std::array<std::int64_t, 3> extent{};  ///< voxels in x, y, z
  std::vector<double> times;             ///< acquisition time of each frame in s, from the first; strictly increasing
  double repetition_time = 0.0;          ///< s; the median frame distance where frames are uneven
  double echo_time = 0.0;                ///< s; 0 where it does not matter (CT, concentration)
  std::int64_t baseline_frames = 0;      ///< given by the user; 0: found in the data
  double voxel_volume_ml = 0.0;
  std::vector<std::string> warnings;  ///< go to the log, to the sidecars of this series' maps and to the report
};

/// A series that was left out under `cohort: {on_error: skip}`, with the reason.
struct SkippedSeries {
  std::string name;
  std::string reason;
};

struct Cohort {
  std::filesystem::path path;
  std::string layout;  ///< bids | flat | isles17 | isles24
  std::vector<Series> series;
  std::vector<SkippedSeries> skipped;
  std::vector<std::string> warnings;  ///< of the cohort as a whole (subject folder without a series)

  /// Names of the subjects in order, each once.
  std::vector<std::string> subjects() const;
};

nlohmann::json to_json(const Cohort& cohort);
Cohort cohort_from_json(const nlohmann::json& json);

}  // namespace perfpipe
