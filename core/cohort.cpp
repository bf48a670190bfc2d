#include "core/cohort.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

template <std::size_t N>
nlohmann::json paths_to_json(const std::array<std::filesystem::path, N>& paths) {
  nlohmann::json json = nlohmann::json::array();
  for (const auto& path : paths) json.push_back(path.string());
  return json;
}

template <std::size_t N>
std::array<std::filesystem::path, N> paths_from_json(const nlohmann::json& json) {
  std::array<std::filesystem::path, N> paths;
  for (std::size_t i = 0; i < N; ++i) paths[i] = json.at(i).get<std::string>();
  return paths;
}

nlohmann::json series_to_json(const Series& series) {
  return {{"name", series.name},
          {"subject", series.subject},
          {"session", series.session},
          {"image", series.image.string()},
          {"sidecar", series.sidecar.string()},
          {"mask", series.mask.string()},
          {"aif", series.aif.string()},
          {"truth", paths_to_json(series.truth)},
          {"target", paths_to_json(series.target)},
          {"labels", series.labels.string()},
          {"label_table", series.label_table.string()},
          {"modality", series.modality == Modality::mr ? "mr" : "ct"},
          {"kind", series.kind == SeriesKind::signal ? "signal" : "concentration"},
          {"extent", series.extent},
          {"times", series.times},
          {"repetition_time", series.repetition_time},
          {"echo_time", series.echo_time},
          {"baseline_frames", series.baseline_frames},
          {"voxel_volume_ml", series.voxel_volume_ml},
          {"warnings", series.warnings}};
}

Series series_from_json(const nlohmann::json& json) {
  Series series;
  series.name = json.at("name").get<std::string>();
  series.subject = json.at("subject").get<std::string>();
  series.session = json.at("session").get<std::string>();
  series.image = json.at("image").get<std::string>();
  series.sidecar = json.at("sidecar").get<std::string>();
  series.mask = json.at("mask").get<std::string>();
  series.aif = json.at("aif").get<std::string>();
  series.truth = paths_from_json<4>(json.at("truth"));
  series.target = paths_from_json<4>(json.at("target"));
  series.labels = json.at("labels").get<std::string>();
  series.label_table = json.at("label_table").get<std::string>();
  series.modality = json.at("modality").get<std::string>() == "mr" ? Modality::mr : Modality::ct;
  series.kind = json.at("kind").get<std::string>() == "signal" ? SeriesKind::signal : SeriesKind::concentration;
  series.extent = json.at("extent").get<std::array<std::int64_t, 3>>();
  series.times = json.at("times").get<std::vector<double>>();
  series.repetition_time = json.at("repetition_time").get<double>();
  series.echo_time = json.at("echo_time").get<double>();
  series.baseline_frames = json.at("baseline_frames").get<std::int64_t>();
  series.voxel_volume_ml = json.at("voxel_volume_ml").get<double>();
  series.warnings = json.at("warnings").get<std::vector<std::string>>();
  return series;
}

}  // namespace

std::vector<std::string> Cohort::subjects() const {
  std::vector<std::string> names;
  for (const auto& one : series)
    if (std::find(names.begin(), names.end(), one.subject) == names.end()) names.push_back(one.subject);
  return names;
}

nlohmann::json to_json(const Cohort& cohort) {
  nlohmann::json json = {{"path", cohort.path.string()},
                         {"layout", cohort.layout},
                         {"series", nlohmann::json::array()},
                         {"skipped", nlohmann::json::array()},
                         {"warnings", cohort.warnings}};
  for (const auto& one : cohort.series) json["series"].push_back(series_to_json(one));
  for (const auto& one : cohort.skipped) json["skipped"].push_back({{"name", one.name}, {"reason", one.reason}});
  return json;
}

Cohort cohort_from_json(const nlohmann::json& json) {
  Cohort cohort;
  cohort.path = json.at("path").get<std::string>();
  cohort.layout = json.at("layout").get<std::string>();
  for (const auto& one : json.at("series")) cohort.series.push_back(series_from_json(one));
  for (const auto& one : json.at("skipped"))
    cohort.skipped.push_back({one.at("name").get<std::string>(), one.at("reason").get<std::string>()});
  cohort.warnings = json.at("warnings").get<std::vector<std::string>>();
  return cohort;
}

}  // namespace perfpipe
