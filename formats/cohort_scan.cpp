#include "formats/cohort_scan.hpp"

#include "formats/label_table.hpp"
#include "formats/layout.hpp"
#include "formats/nifti_image.hpp"
#include "formats/series_timing.hpp"
#include "formats/sidecar.hpp"
#include "formats/table.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t min_frames = 10;
/// Masks are read in slabs of this many bytes.
constexpr std::size_t mask_slab_bytes = std::size_t{64} << 20;

/// A 3D image on the grid of the series, or a finding. `what` names its role.
std::optional<NiftiFileInfo> check_map(const fs::path& path, const std::string& what, const NiftiFileInfo& series,
                                       Findings& findings, std::vector<std::string>& warnings) {
  const auto info = check_nifti_file(path, findings, warnings);
  if (!info) return std::nullopt;
  std::string difference;
  if (info->header.frames() != 1)
    findings.add(path.string(),
                 fmt::format("has {} frames; expected a {} of three dimensions", info->header.frames(), what));
  else if (!same_nifti_grid(*info, series, difference))
    findings.add(path.string(), fmt::format("{} not on the grid of {}: {}; resample it to the series", what,
                                            series.path.filename().string(), difference));
  else
    return info;
  return std::nullopt;
}

/// A mask must be finite and mark at least one voxel (> 0.5).
void check_mask_values(const fs::path& path, Findings& findings) {
  NiftiReader reader(path);
  const std::int64_t slices = reader.extent()[2], step = reader.slices_within(mask_slab_bytes);
  std::int64_t inside = 0, not_finite = 0;
  std::vector<float> values;
  for (std::int64_t z = 0; z < slices; z += step) {
    reader.read_slab(z, std::min(step, slices - z), values);
    for (const float value : values) {
      inside += value > 0.5f;
      not_finite += !std::isfinite(value);
    }
  }
  if (not_finite > 0)
    findings.add(path.string(),
                 fmt::format("{} voxels of the mask are not finite; expected 0 outside and 1 inside", not_finite));
  else if (inside == 0)
    findings.add(path.string(), "the mask is empty: no voxel is above 0.5; expected 0 outside and 1 inside");
}

/// What is said of this series in the job file: for all, then for its subject, then for the session itself.
PatientOverrides merged_overrides(const CohortOptions& options,
                                  const std::vector<const PatientSelection*>& selections) {
  PatientOverrides merged = options.overrides;
  const auto take = [](auto& target, const auto& source) {
    if (source) target = source;
  };
  for (const auto* selection : selections) {
    take(merged.repetition_time, selection->overrides.repetition_time);
    take(merged.echo_time, selection->overrides.echo_time);
    take(merged.mask, selection->overrides.mask);
    take(merged.aif, selection->overrides.aif);
    take(merged.modality, selection->overrides.modality);
    take(merged.kind, selection->overrides.kind);
    take(merged.baseline, selection->overrides.baseline);
  }
  return merged;
}

/// Which key of the job file names the file that findings are about; nothing where it lies beside the series.
std::string named_by(const std::optional<NamedFile>& named) { return named ? "; named by " + named->where : ""; }

void check_mask(const Series& series, const NiftiFileInfo& image, Findings& findings,
                std::vector<std::string>& warnings) {
  if (series.mask.empty()) return;
  if (check_map(series.mask, "mask", image, findings, warnings) && findings.empty())
    check_mask_values(series.mask, findings);
}

void check_aif(const Series& series, Findings& findings) {
  if (series.aif.empty()) return;
  if (const auto aif = read_aif_table(series.aif, findings); aif && !series.times.empty())
    check_aif_coverage(*aif, series.aif, series.times, series.repetition_time, findings);
}

/// A label map counts together with its table alone.
void check_labels(Series& series, const SeriesFiles& files, const NiftiFileInfo& image, Findings& findings) {
  if (files.labels.empty()) return;
  if (files.label_table.empty())
    return findings.add(files.labels.string(), "has no table of its labels; add " +
                                                   (nifti_stem(files.labels) + ".tsv (index, name, factors)"));
  check_map(files.labels, "label map", image, findings, series.warnings);
  read_label_table(files.label_table, findings);
  series.labels = files.labels;
  series.label_table = files.label_table;
}

void check_maps(Series& series, const SeriesFiles& files, const NiftiFileInfo& image, Findings& findings) {
  for (std::size_t p = 0; p < 4; ++p) {
    series.truth[p] = files.truth[p];
    if (!files.truth[p].empty()) check_map(files.truth[p], "truth map", image, findings, series.warnings);
    if (files.target[p].empty()) continue;
    // Vendors write their maps on grids of their own: such a map is no reason to refuse the series.
    Findings of_target;
    check_map(files.target[p], "target map", image, of_target, series.warnings);
    if (of_target.empty()) continue;
    if (!files.vendor_targets) {
      findings.merge(of_target);
      continue;
    }
    for (const auto& line : of_target.lines()) series.warnings.push_back(line + "; the map is not used");
    series.target[p].clear();
  }
}

/// Opens and checks everything of one series.
Series inspect(const SeriesFiles& files, const PatientOverrides& overrides, const std::string& mask_mode,
               Findings& findings) {
  Series series;
  series.name = files.name;
  series.subject = files.subject;
  series.session = files.session;
  series.image = files.image;
  series.sidecar = files.sidecar;
  series.modality = overrides.modality.value_or(files.modality);
  series.kind = overrides.kind.value_or(SeriesKind::signal);
  series.baseline_frames = overrides.baseline.value_or(0);
  if (mask_mode == "auto" || mask_mode == "file") series.mask = overrides.mask ? overrides.mask->path : files.mask;
  series.aif = overrides.aif ? overrides.aif->path : files.aif;
  series.target = files.target;

  Findings of_sidecar;
  const Sidecar sidecar = files.sidecar.empty() ? Sidecar{} : read_sidecar(files.sidecar, of_sidecar);
  findings.merge(of_sidecar);
  const auto image = check_nifti_file(files.image, findings, series.warnings, GzipCheck::plausible);
  if (!image) return series;
  const NiftiHeader& header = image->header;
  series.extent = header.extent();
  series.voxel_volume_ml = voxel_volume_ml(image->affine);
  if (header.frames() < min_frames)
    findings.add(
        series.image.string(),
        fmt::format("dim = {}: {}; expected a series (X,Y,Z,T) or (X,Y,Z,1,T) of at least {} "
                    "frames",
                    fmt::join(header.dim.begin() + 1, header.dim.begin() + 1 + header.dim[0], " x "),
                    header.frames() == 1 ? "a single volume" : fmt::format("{} frames", header.frames()), min_frames));
  else if (of_sidecar.empty())
    resolve_times(series, header, sidecar, overrides.repetition_time, findings);
  if (of_sidecar.empty()) resolve_echo_time(series, sidecar, overrides.echo_time, findings);
  if (series.baseline_frames >= header.frames())
    findings.add(series.image.string(), fmt::format("baseline = {} frames, but the series has {}; give fewer",
                                                    series.baseline_frames, header.frames()));

  Findings of_mask, of_aif;
  check_mask(series, *image, of_mask, series.warnings);
  findings.merge(of_mask, named_by(overrides.mask));
  check_maps(series, files, *image, findings);
  check_labels(series, files, *image, findings);
  check_aif(series, of_aif);
  findings.merge(of_aif, named_by(overrides.aif));
  return series;
}

/// Whether a name of the job file means this series: its subject or itself, with or without "sub-", or the user's own
/// name.
bool selects(const std::string& name, const SeriesFiles& files) {
  for (const std::string& word : {name, "sub-" + name})
    if (word == files.subject || word == files.name || word == files.alias) return true;
  return false;
}

/// The selections that mean each series, subjects before sessions; findings for names that mean none.
std::map<std::string, std::vector<const PatientSelection*>> match_patients(const CohortOptions& options,
                                                                           const LayoutResult& layout,
                                                                           Findings& findings) {
  std::map<std::string, std::vector<const PatientSelection*>> chosen;
  for (const auto& selection : options.patients) {
    bool found = false;
    for (const auto& files : layout.series) {
      if (!selects(selection.name, files)) continue;
      found = true;
      auto& of_series = chosen[files.name];
      const bool whole_subject = selection.name == files.subject || "sub-" + selection.name == files.subject;
      of_series.insert(whole_subject ? of_series.begin() : of_series.end(), &selection);
    }
    if (found) continue;
    std::vector<std::string> names;
    for (const auto& files : layout.series) names.push_back(files.name);
    findings.add(selection.where, fmt::format("patient \"{}\": not in {}; there are: {}", selection.name,
                                              options.path.string(), join(names)));
  }
  return chosen;
}

void check_cohort_folder(const CohortOptions& options, Findings& findings) {
  std::error_code error;
  const auto status = fs::status(options.path, error);
  if (status.type() == fs::file_type::not_found)
    throw ConfigError(
        fmt::format("{}: cohort.path = {}: there is no such folder; relative paths start at the working "
                    "directory ({})",
                    options.where, options.path.string(), fs::current_path(error).string()));
  if (status.type() == fs::file_type::none)
    findings.add(options.path.string(), fmt::format("cannot be opened: {}; check its permissions", error.message()));
  else if (!fs::is_directory(status))
    findings.add(options.path.string(), "is not a folder; expected the folder of a cohort");
}

/// Paths travel as JSON between ranks and into the outputs: they must be UTF-8.
bool is_utf8(const fs::path& path) {
  try {
    nlohmann::json(path.string()).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace

Cohort scan_cohort(const CohortOptions& options, Findings& findings, std::vector<Series>& unusable) {
  Cohort cohort;
  cohort.path = options.path;
  check_cohort_folder(options, findings);
  if (!findings.empty()) return cohort;
  const LayoutResult layout = find_series(options.path, options.layout, findings);
  cohort.layout = layout.layout;
  cohort.warnings = layout.warnings;
  Findings of_job;  // names that are wrong in the job file, not in the data
  const auto chosen = match_patients(options, layout, of_job);
  if (!layout.series.empty()) of_job.throw_if_any(ExitCode::config);

  Findings of_all;
  for (const auto& files : layout.series) {
    const auto selections = chosen.find(files.name);
    if (!options.patients.empty() && selections == chosen.end()) continue;
    Findings of_series;
    if (!is_utf8(files.image)) of_series.add(files.image.string(), "its name is not valid UTF-8; rename it");
    const auto overrides = merged_overrides(
        options, selections == chosen.end() ? std::vector<const PatientSelection*>{} : selections->second);
    if (!files.findings.empty()) {  // several series, or none: there is not one whose files could be named
      of_series.merge(files.findings);
    } else {
      Series series = inspect(files, overrides, options.mask_mode, of_series);
      // The values of the others are read, and judged, by all ranks (check_series_values).
      if (!of_series.empty() && series.extent[0] > 0) check_nifti_file(series.image, of_series, series.warnings);
      (of_series.empty() ? cohort.series : unusable).push_back(std::move(series));
    }
    if (!of_series.empty()) cohort.skipped.push_back({files.name, join(of_series.lines(), "; ")});
    of_all.merge(of_series);
  }
  if (options.on_error == "skip" && !cohort.series.empty()) {
    unusable.clear();
  } else {
    findings.merge(of_all);
    cohort.skipped.clear();
  }
  return cohort;
}

}  // namespace perfpipe
