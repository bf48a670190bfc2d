#include "formats/sidecar.hpp"

#include "core/atomic_file.hpp"

#include <cmath>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

using nlohmann::json;

/// Keeps, while parsing, the keys of every open object, since nlohmann's own objects drop duplicates silently.
class DuplicateKeys {
 public:
  bool operator()(int /*depth*/, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open_.emplace_back();
    if (event == json::parse_event_t::object_end) open_.pop_back();
    if (event == json::parse_event_t::key && !open_.back().insert(parsed.get<std::string>()).second)
      found_.insert(parsed.get<std::string>());
    return true;
  }
  const std::set<std::string>& found() const { return found_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::set<std::string> found_;
};

/// A value for messages. Lists and objects are only counted: nlohmann writes them recursively, and a hostile file may
/// nest them deeper than the stack.
std::string shown(const json& value) {
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  if (value.is_object()) return fmt::format("an object of {} keys", value.size());
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::optional<double> number(const json& object, const char* key, const std::string& file, Findings& findings) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (found->is_number()) return found->get<double>();
  findings.add(file, fmt::format("{} = {}: expected a number, in seconds, without quotes", key, shown(*found)));
  return std::nullopt;
}

std::vector<double> volume_timing(const json& object, const std::string& file, Findings& findings) {
  const auto found = object.find("VolumeTiming");
  if (found == object.end()) return {};
  if (!found->is_array() || found->empty()) {
    findings.add(file,
                 fmt::format("VolumeTiming = {}: expected a list of times in seconds, one per volume", shown(*found)));
    return {};
  }
  std::vector<double> times;
  for (const auto& item : *found) {
    if (!item.is_number() || !std::isfinite(item.get<double>())) {
      findings.add(file,
                   fmt::format("VolumeTiming[{}] = {}: expected a number, in seconds", times.size(), shown(item)));
      return {};
    }
    const double time = item.get<double>();
    if (!times.empty() && time <= times.back()) {
      findings.add(file, fmt::format("VolumeTiming[{}] = {} follows {}: times must be strictly increasing",
                                     times.size(), time, times.back()));
      return {};
    }
    times.push_back(time);
  }
  return times;
}

}  // namespace

std::optional<std::string> repetition_time_problem(const std::string& field, double seconds) {
  if (seconds >= min_repetition_time && seconds <= max_repetition_time) return std::nullopt;
  return fmt::format("{} = {}: expected {} to {} s{}", field, seconds, min_repetition_time, max_repetition_time,
                     seconds >= 100.0 && seconds <= 1e4 ? "; was it given in milliseconds? Write it in seconds" : "");
}

std::optional<std::string> echo_time_problem(const std::string& field, double seconds) {
  if (seconds >= min_echo_time && seconds <= max_echo_time) return std::nullopt;
  return fmt::format("{} = {}: expected {} to {} s{}", field, seconds, min_echo_time, max_echo_time,
                     seconds >= 1.0 && seconds <= 200.0 ? "; was it given in milliseconds? Write it in seconds" : "");
}

Sidecar read_sidecar(const std::filesystem::path& path, Findings& findings) {
  const std::string file = path.string();
  Sidecar sidecar;
  const auto text = read_small_file(path, max_sidecar_bytes, findings);
  if (!text) return sidecar;
  json object;
  DuplicateKeys duplicates;
  try {
    // nlohmann's parser steps over a byte-order mark itself. The callback is copied: it must hold a reference.
    object = json::parse(*text, std::ref(duplicates));
  } catch (const json::exception& error) {
    findings.add(file, fmt::format("is not valid JSON: {}", error.what()));
    return sidecar;
  }
  if (!object.is_object()) {
    findings.add(file,
                 fmt::format("holds {}: expected a JSON object, such as {{\"RepetitionTime\": 1.5}}", shown(object)));
    return sidecar;
  }
  for (const auto& key : duplicates.found())
    findings.add(file, fmt::format("the key \"{}\" stands more than once; keep one", key));

  sidecar.repetition_time = number(object, "RepetitionTime", file, findings);
  sidecar.echo_time = number(object, "EchoTime", file, findings);
  if (const auto units = object.find("Units"); units != object.end()) {
    if (units->is_string())
      sidecar.units = units->get<std::string>();
    else
      findings.add(file, fmt::format("Units = {}: expected a text, such as \"ml/100g/min\"", shown(*units)));
  }
  sidecar.volume_timing = volume_timing(object, file, findings);
  if (object.contains("RepetitionTime") && object.contains("VolumeTiming"))
    findings.add(file,
                 "has both RepetitionTime and VolumeTiming; BIDS allows one of them: keep VolumeTiming if the frames "
                 "are unevenly spaced, else RepetitionTime");
  if (sidecar.repetition_time)
    if (const auto problem = repetition_time_problem("RepetitionTime", *sidecar.repetition_time))
      findings.add(file, *problem);
  if (sidecar.echo_time)
    if (const auto problem = echo_time_problem("EchoTime", *sidecar.echo_time)) findings.add(file, *problem);
  return sidecar;
}

}  // namespace perfpipe
