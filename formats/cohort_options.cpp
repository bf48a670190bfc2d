#include "formats/cohort_scan.hpp"
#include "formats/sidecar.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

const std::vector<std::string> override_keys{"repetition_time", "echo_time", "mask",    "aif",
                                             "modality",        "kind",      "baseline"};

/// Baselines longer than this many frames are not met in practice.
constexpr double max_baseline_frames = 1000;

PatientOverrides read_overrides(const ConfigNode& node, Findings& findings) {
  PatientOverrides overrides;
  const auto read_seconds = [&](const char* key, auto problem_of) -> std::optional<double> {
    const ConfigNode* child = node.find(key);
    if (child == nullptr) return std::nullopt;
    // The range is judged by problem_of, which can tell milliseconds from other mistakes.
    const auto seconds = read_number(*child, {-1e300, 1e300}, findings);
    if (!seconds) return std::nullopt;
    if (const auto problem = problem_of(child->path, *seconds)) {
      findings.add(child->where, *problem);
      return std::nullopt;
    }
    return seconds;
  };
  overrides.repetition_time = read_seconds("repetition_time", repetition_time_problem);
  overrides.echo_time = read_seconds("echo_time", echo_time_problem);
  const auto read_file = [&](const char* key) -> std::optional<NamedFile> {
    const ConfigNode* child = node.find(key);
    const auto text = child == nullptr ? std::nullopt : read_text(*child, findings);
    if (!text) return std::nullopt;
    return NamedFile{*text, fmt::format("{} ({})", child->path, child->where)};
  };
  overrides.mask = read_file("mask");
  overrides.aif = read_file("aif");
  if (const ConfigNode* child = node.find("modality"))
    if (const auto word = read_choice(*child, {"mr", "ct"}, findings))
      overrides.modality = *word == "mr" ? Modality::mr : Modality::ct;
  if (const ConfigNode* child = node.find("kind"))
    if (const auto word = read_choice(*child, {"signal", "concentration"}, findings))
      overrides.kind = *word == "signal" ? SeriesKind::signal : SeriesKind::concentration;
  if (const ConfigNode* child = node.find("baseline"))
    overrides.baseline = read_integer(*child, {1, max_baseline_frames}, findings);
  return overrides;
}

std::vector<PatientSelection> read_patients(const ConfigNode& node, Findings& findings) {
  std::vector<PatientSelection> patients;
  const auto add = [&](const std::string& name, const std::string& where, PatientOverrides overrides) {
    const auto bare = [](std::string_view text) { return text.starts_with("sub-") ? text.substr(4) : text; };
    const auto same = [&](const PatientSelection& other) { return bare(other.name) == bare(name); };
    if (std::any_of(patients.begin(), patients.end(), same))
      findings.add(where, fmt::format("{}: the patient \"{}\" is listed twice; name each once", node.path, name));
    else
      patients.push_back({name, where, std::move(overrides)});
  };
  if (node.kind == ConfigNode::Kind::sequence) {
    for (const auto& item : node.items)
      if (const auto name = read_text(item, findings)) add(*name, item.where, {});
  } else if (node.kind == ConfigNode::Kind::map) {
    for (const auto& [name, child] : node.entries) {
      if (child.kind != ConfigNode::Kind::map && child.kind != ConfigNode::Kind::null) {
        findings.add(child.where,
                     fmt::format("{}: expected overrides for this patient: {}", child.shown(), join(override_keys)));
        continue;
      }
      reject_unknown_keys(child, override_keys, findings);
      add(name, child.where, read_overrides(child, findings));
    }
  }
  if (patients.empty() && findings.empty())
    findings.add(node.where,
                 fmt::format("{}: expected a list of names, or a map from name to overrides; leave the key out to "
                             "take all patients",
                             node.shown()));
  return patients;
}

nlohmann::ordered_json overrides_to_json(const PatientOverrides& overrides) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (overrides.repetition_time) json["repetition_time"] = *overrides.repetition_time;
  if (overrides.echo_time) json["echo_time"] = *overrides.echo_time;
  if (overrides.mask) json["mask"] = overrides.mask->path.string();
  if (overrides.aif) json["aif"] = overrides.aif->path.string();
  if (overrides.modality) json["modality"] = *overrides.modality == Modality::mr ? "mr" : "ct";
  if (overrides.kind) json["kind"] = *overrides.kind == SeriesKind::signal ? "signal" : "concentration";
  if (overrides.baseline) json["baseline"] = *overrides.baseline;
  return json;
}

}  // namespace

CohortOptions read_cohort_options(const ConfigNode& node, Findings& findings) {
  CohortOptions options;
  const ConfigNode* path = &node;
  if (node.kind == ConfigNode::Kind::map) {
    std::vector<std::string> keys{"path", "layout", "patients", "on_error"};
    keys.insert(keys.end(), override_keys.begin(), override_keys.end());
    reject_unknown_keys(node, keys, findings);
    options.overrides = read_overrides(node, findings);
    if (const ConfigNode* child = node.find("layout"))
      if (const auto word = read_choice(*child, {"detect", "bids", "flat", "isles17", "isles24"}, findings))
        options.layout = *word;
    if (const ConfigNode* child = node.find("on_error"))
      if (const auto word = read_choice(*child, {"stop", "skip"}, findings)) options.on_error = *word;
    if (const ConfigNode* child = node.find("patients")) options.patients = read_patients(*child, findings);
    path = node.find("path");
  }
  if (path == nullptr || path->kind != ConfigNode::Kind::scalar) {
    findings.add(node.where,
                 fmt::format("{}: expected the folder of the cohort: cohort: PATH, or cohort: {{path: PATH}}",
                             path == nullptr ? node.path + " has no path" : path->shown()));
    return options;
  }
  if (const auto text = read_text(*path, findings)) options.path = *text;
  options.where = path->where;
  return options;
}

nlohmann::ordered_json to_json(const CohortOptions& options) {
  nlohmann::ordered_json json = overrides_to_json(options.overrides);
  json["path"] = options.path.string();
  json["layout"] = options.layout;
  json["on_error"] = options.on_error;
  for (const auto& patient : options.patients) json["patients"][patient.name] = overrides_to_json(patient.overrides);
  return json;
}

}  // namespace perfpipe
