#include "formats/layout.hpp"

#include "core/parameters.hpp"
#include "formats/nifti_file.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

/// Entries of a folder, sorted by name; hidden ones (also macOS's `._` twins) are left out.
std::vector<fs::path> entries(const fs::path& folder, Findings& findings) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (!it->path().filename().string().starts_with('.')) found.push_back(it->path());
  if (error)
    findings.add(folder.string(), fmt::format("folder cannot be read: {}; check its permissions", error.message()));
  std::sort(found.begin(), found.end());
  return found;
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// True if a file of this name stands there, be it a dangling link: opening it later says what is wrong with it.
bool stands(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found && !error;
}

bool starts(const fs::path& path, std::string_view prefix) { return path.filename().string().starts_with(prefix); }

/// An image by its name: NIfTI, or the header of a pair, which is then refused with its remedy.
bool has_image_name(const fs::path& path) { return has_nifti_name(path) || path.extension() == ".hdr"; }

std::string image_stem(const fs::path& path) { return has_nifti_name(path) ? nifti_stem(path) : path.stem().string(); }

std::string listed(const std::vector<fs::path>& paths) {
  std::vector<std::string> names;
  for (const auto& path : paths) names.push_back(path.filename().string());
  return fmt::format("{}", fmt::join(names, ", "));
}

/// The file `base`.nii.gz or `base`.nii; a finding if both stand there.
fs::path one_image(const fs::path& base, Findings& findings) {
  const fs::path gzipped = base.string() + ".nii.gz", plain = base.string() + ".nii";
  if (stands(gzipped) && stands(plain))
    findings.add(gzipped.string(), fmt::format("{} stands beside it; keep one of them", plain.filename().string()));
  return stands(gzipped) ? gzipped : stands(plain) ? plain : fs::path();
}

/// Files beside the image that the program uses where present. `base` is the image's name without its suffix (BIDS), or
/// its whole stem (flat folder), with its folder before it.
void add_companions(const fs::path& base, const std::string& mask_suffix, SeriesFiles& series) {
  const std::string text = base.string();
  series.mask = one_image(text + mask_suffix, series.findings);
  if (stands(text + "_aif.tsv")) series.aif = text + "_aif.tsv";
  series.labels = one_image(text + "_desc-truth_dseg", series.findings);
  if (stands(text + "_desc-truth_dseg.tsv")) series.label_table = text + "_desc-truth_dseg.tsv";
  for (const Parameter p : all_parameters) {
    const std::string parameter(name(p));
    series.truth[index(p)] = one_image(text + "_desc-truth_" + parameter, series.findings);
    series.target[index(p)] = one_image(text + "_desc-target_" + parameter, series.findings);
  }
}

void add_sidecar(SeriesFiles& series) {
  const fs::path sidecar = series.image.parent_path() / (image_stem(series.image) + ".json");
  if (stands(sidecar)) series.sidecar = sidecar;
}

/// The series of one session, from a folder that is to hold one `*_dsc` or `*_ctp` image.
std::optional<SeriesFiles> series_in(const fs::path& folder, const std::string& subject, const std::string& session,
                                     Findings& findings) {
  SeriesFiles series;
  series.subject = subject;
  series.session = session;
  series.name = series.alias = session.empty() ? subject : subject + "_" + session;
  std::vector<fs::path> matching, strangers;
  for (const auto& path : entries(folder, findings)) {
    const std::string stem = image_stem(path);
    if (!has_image_name(path) || stem.find("_desc-") != std::string::npos ||
        !(stem.ends_with("_dsc") || stem.ends_with("_ctp")))
      continue;
    const bool named_alike =
        stem.starts_with(series.name + "_") && stem.find("_ses-", series.name.size()) == std::string::npos;
    (named_alike ? matching : strangers).push_back(path);
  }
  if (matching.empty() && strangers.empty()) return std::nullopt;
  for (const auto& path : strangers)
    series.findings.add(path.string(),
                        fmt::format("its name does not match its folder: expected it to start with \"{}_\"; "
                                    "rename or move it",
                                    series.name));
  if (matching.size() > 1)
    series.findings.add(folder.string(),
                        fmt::format("{} series for one session: {}; keep one, or put each into a session "
                                    "folder (ses-Y) of its own",
                                    matching.size(), listed(matching)));
  if (matching.empty()) return series;
  series.image = matching.front();
  const std::string stem = image_stem(series.image);
  series.modality = stem.ends_with("_ctp") ? Modality::ct : Modality::mr;
  add_sidecar(series);
  add_companions(folder / stem.substr(0, stem.size() - 4), "_desc-brain_mask", series);
  return series;
}

void find_bids(const fs::path& root, LayoutResult& result, Findings& findings) {
  for (const auto& subject : entries(root, findings)) {
    if (!starts(subject, "sub-") || !is_folder(subject)) continue;
    const std::string subject_name = subject.filename().string();
    const std::size_t before = result.series.size();
    const auto look = [&](const fs::path& perf, const std::string& session) {
      if (!is_folder(perf)) return;
      if (auto series = series_in(perf, subject_name, session, findings)) result.series.push_back(std::move(*series));
    };
    look(subject / "perf", "");
    for (const auto& session : entries(subject, findings))
      if (starts(session, "ses-") && is_folder(session)) look(session / "perf", session.filename().string());
    if (result.series.size() == before)
      result.warnings.push_back(
          fmt::format("{}: no series: neither perf/{}_dsc.nii[.gz] nor .._ctp.nii[.gz], nor one in a "
                      "ses-*/perf folder; the subject is left out",
                      subject.string(), subject_name));
  }
}

void find_isles24(const fs::path& path, LayoutResult& result, Findings& findings) {
  const fs::path root = is_folder(path / "raw_data") ? path / "raw_data" : path;
  for (const auto& subject : entries(root, findings)) {
    if (!starts(subject, "sub-") || !is_folder(subject)) continue;
    for (const auto& session : entries(subject, findings)) {
      if (!starts(session, "ses-") || !is_folder(session)) continue;
      auto series = series_in(session, subject.filename().string(), session.filename().string(), findings);
      if (!series) {
        result.warnings.push_back(
            fmt::format("{}: no series (..._ctp.nii[.gz]); the session is left out", session.string()));
        continue;
      }
      for (const Parameter p : all_parameters) {
        fs::path& target = series->target[index(p)];
        if (!target.empty()) continue;
        target = one_image(session / "perfusion-maps" / fmt::format("{}_{}", series->name, name(p)), series->findings);
        if (!target.empty()) series->vendor_targets = true;
      }
      result.series.push_back(std::move(*series));
    }
  }
}

/// "sub-" and the letters and digits of the user's name: BIDS labels allow no others.
std::string subject_label(std::string text) {
  if (text.starts_with("sub-")) text.erase(0, 4);
  std::erase_if(text, [](unsigned char c) { return !std::isalnum(c); });
  return "sub-" + text;
}

SeriesFiles plain_series(const std::string& alias, const std::vector<fs::path>& images, const fs::path& folder) {
  SeriesFiles series;
  series.alias = alias;
  series.name = series.subject = subject_label(alias);
  if (series.name == "sub-")
    series.findings.add(folder.string(),
                        fmt::format("\"{}\" holds no letter or digit to name the patient by; rename it", alias));
  if (images.size() > 1)
    series.findings.add(folder.string(),
                        fmt::format("{} series for one patient: {}; keep one", images.size(), listed(images)));
  series.image = images.front();
  add_sidecar(series);
  return series;
}

void find_flat(const fs::path& root, LayoutResult& result, Findings& findings) {
  std::map<std::string, std::vector<fs::path>> images, masks;
  for (const auto& path : entries(root, findings)) {
    const std::string stem = image_stem(path);
    if (!has_image_name(path) || is_folder(path) || stem.find("_desc-") != std::string::npos) continue;
    if (stem.ends_with("_mask"))
      masks[stem.substr(0, stem.size() - 5)].push_back(path);
    else
      images[stem].push_back(path);
  }
  for (const auto& [stem, paths] : images) {
    auto series = plain_series(stem, paths, root);
    add_companions(root / stem, "_mask", series);
    result.series.push_back(std::move(series));
  }
  for (const auto& [stem, paths] : masks)
    if (!images.contains(stem))
      result.warnings.push_back(
          fmt::format("{}: a mask without its series {}.nii[.gz]; it is not used", paths.front().string(), stem));
}

/// Images named ...MR_4DPWI... in a patient's folder of ISLES'17, or one folder below.
std::vector<fs::path> isles17_images(const fs::path& patient, Findings& findings) {
  std::vector<fs::path> images;
  for (const auto& entry : entries(patient, findings)) {
    if (entry.filename().string().find("MR_4DPWI") == std::string::npos) continue;
    if (!is_folder(entry)) {
      if (has_nifti_name(entry)) images.push_back(entry);
      continue;
    }
    for (const auto& file : entries(entry, findings))
      if (has_nifti_name(file)) images.push_back(file);
  }
  return images;
}

void find_isles17(const fs::path& root, LayoutResult& result, Findings& findings) {
  for (const auto& patient : entries(root, findings)) {
    if (!is_folder(patient)) continue;
    const auto images = isles17_images(patient, findings);
    if (!images.empty())
      result.series.push_back(plain_series(patient.filename().string(), images, patient));
    else if (starts(patient, "training_") || starts(patient, "test_"))
      result.warnings.push_back(
          fmt::format("{}: no series (VSD.Brain.XX.O.MR_4DPWI.*); the patient is left out", patient.string()));
  }
}

/// Part 10 files carry "DICM" after a preamble of 128 bytes.
bool is_dicom(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".dcm" || extension == ".DCM" || extension == ".IMA" || path.filename() == "DICOMDIR") return true;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  char magic[132] = {};
  std::ifstream file(path, std::ios::binary);
  return file.read(magic, sizeof magic) && std::string_view(magic + 128, 4) == "DICM";
}

/// Whether DICOM files lie here or at most three folders below; looks at no more than the first files of each folder.
bool holds_dicom(const fs::path& folder, int depth) {
  Findings ignored;
  int looked_at = 0;
  for (const auto& path : entries(folder, ignored)) {
    if (++looked_at > 20) return false;
    if (is_folder(path) ? depth > 0 && holds_dicom(path, depth - 1) : is_dicom(path)) return true;
  }
  return false;
}

std::string detect(const fs::path& path, Findings& findings) {
  bool subjects = false, images = false;
  Findings ignored;  // what cannot be read inside is found again, and reported, once the layout is known
  if (is_folder(path / "raw_data")) return "isles24";
  for (const auto& entry : entries(path, findings)) {
    if (is_folder(entry)) {
      if (!isles17_images(entry, ignored).empty()) return "isles17";
      if (!starts(entry, "sub-")) continue;
      subjects = true;
      for (const auto& session : entries(entry, ignored))
        if (starts(session, "ses-") && is_folder(session) && !is_folder(session / "perf"))
          for (const auto& file : entries(session, ignored))
            if (nifti_stem(file).ends_with("_ctp")) return "isles24";
    } else if (has_image_name(entry)) {
      images = true;
    }
  }
  return subjects ? "bids" : images ? "flat" : "";
}

}  // namespace

LayoutResult find_series(const fs::path& path, const std::string& layout, Findings& findings) {
  LayoutResult result;
  result.layout = layout == "detect" ? detect(path, findings) : layout;
  if (result.layout == "bids") find_bids(path, result, findings);
  if (result.layout == "flat") find_flat(path, result, findings);
  if (result.layout == "isles17") find_isles17(path, result, findings);
  if (result.layout == "isles24") find_isles24(path, result, findings);
  std::sort(result.series.begin(), result.series.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < result.series.size(); ++i)
    if (result.series[i].name == result.series[i - 1].name)
      findings.add(path.string(),
                   fmt::format("the names \"{}\" and \"{}\" both give the patient {} (letters and digits only); "
                               "rename one",
                               result.series[i - 1].alias, result.series[i].alias, result.series[i].name));
  if (!result.series.empty()) return result;
  if (holds_dicom(path, 3))
    findings.add(path.string(),
                 "holds DICOM files, which are not read directly; convert each series to NIfTI first, for "
                 "example with: dcm2niix -b y -z y -f %i_dsc -o COHORT DICOM_FOLDER");
  else
    findings.add(
        path.string(),
        fmt::format("no perfusion series found{}; expected one of: sub-X/[ses-Y/]perf/sub-X[_ses-Y]_dsc.nii[.gz] or "
                    "..._ctp.nii[.gz] (bids), NAME.nii[.gz] (flat), training_N/VSD.Brain.XX.O.MR_4DPWI.* (isles17), "
                    "raw_data/sub-strokeNNNN/ses-01/..._ctp.nii.gz (isles24)",
                    result.layout.empty() ? "" : fmt::format(" in the layout {}", result.layout)));
  return result;
}

}  // namespace perfpipe
