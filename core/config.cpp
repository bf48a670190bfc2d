#include "core/config.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

namespace perfpipe {

const ConfigNode* ConfigNode::find(std::string_view key) const {
  for (const auto& [name, node] : entries)
    if (name == key) return &node;
  return nullptr;
}

void ConfigNode::set_default(const std::string& key, const std::string& value) {
  if (kind != Kind::map || find(key) != nullptr) return;
  ConfigNode child;
  child.kind = Kind::scalar;
  child.text = value;
  child.where = where;
  child.path = path + "." + key;
  entries.emplace_back(key, std::move(child));
}

std::string ConfigNode::shown() const {
  std::string value;
  switch (kind) {
    case Kind::null:
      value = "(empty)";
      break;
    case Kind::scalar:
      value = quoted ? "\"" + text + "\"" : text;
      break;
    case Kind::sequence:
      value = fmt::format("a list of {}", items.size());
      break;
    case Kind::map:
      value = fmt::format("a map of {} keys", entries.size());
      break;
  }
  if (value.size() > 80) value = value.substr(0, 77) + "...";
  return path.empty() ? value : path + " = " + value;
}

std::string Range::text() const {
  const auto number = [](double x) {
    return std::abs(x) >= 9.2e18
               ? std::string(x < 0 ? "-2^63" : "2^63-1")
               : (x == std::floor(x) && std::abs(x) < 1e15 ? fmt::format("{:.0f}", x) : fmt::format("{}", x));
  };
  if (std::isinf(high)) return (low_open ? "above " : "at least ") + number(low);
  return (low_open ? "(" : "[") + number(low) + ", " + number(high) + (high_open ? ")" : "]");
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t substitute = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

void reject_unknown_keys(const ConfigNode& node, const std::vector<std::string>& allowed, Findings& findings) {
  for (const auto& [key, child] : node.entries) {
    if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) continue;
    const auto near = nearest(key, allowed);
    findings.add(child.where,
                 fmt::format("unknown key '{}'{}{}; allowed: {}", key, node.path.empty() ? "" : " in " + node.path,
                             near ? fmt::format(" (did you mean '{}'?)", *near) : "", join(allowed)));
  }
}

namespace {

/// True if the whole text is a plain decimal number; hexadecimal, nan, inf and trailing text are not.
std::optional<double> parse_number(const ConfigNode& node) {
  if (node.kind != ConfigNode::Kind::scalar || node.quoted || node.text.empty()) return std::nullopt;
  const char* begin = node.text.data();
  const char* const end = begin + node.text.size();
  if (*begin == '+' && begin + 1 != end && begin[1] != '-') ++begin;  // "+-5" is no number
  double value = 0.0;
  const auto [stopped, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stopped != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<double> read_number(const ConfigNode& node, const Range& range, Findings& findings) {
  const auto value = parse_number(node);
  if (value && range.contains(*value)) return value;
  findings.add(node.where, fmt::format("{}: expected a number in {}", node.shown(), range.text()));
  return std::nullopt;
}

std::optional<std::int64_t> read_integer(const ConfigNode& node, const Range& range, Findings& findings) {
  std::int64_t value = 0;
  bool valid = node.kind == ConfigNode::Kind::scalar && !node.quoted && !node.text.empty();
  if (valid) {
    const char* const end = node.text.data() + node.text.size();
    const auto [stopped, error] = std::from_chars(node.text.data(), end, value);
    valid = error == std::errc() && stopped == end;
  }
  if (valid && range.contains(static_cast<double>(value))) return value;
  findings.add(node.where, fmt::format("{}: expected a whole number in {}", node.shown(), range.text()));
  return std::nullopt;
}

std::optional<std::vector<Point>> read_points(const ConfigNode& node, Findings& findings) {
  std::vector<Point> points;
  bool valid = node.kind == ConfigNode::Kind::sequence && !node.items.empty();
  for (const auto& item : node.items) {
    valid = valid && item.kind == ConfigNode::Kind::sequence && item.items.size() == 3;
    if (!valid) break;
    Point point{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto x = read_integer(item.items[axis], {0.0, 1e6}, findings);
      if (!x) return std::nullopt;
      point[axis] = *x;
    }
    points.push_back(point);
  }
  if (valid) return points;
  findings.add(node.where, node.shown() + ": expected a list of voxels, [[x, y, z], ...], each from 0");
  return std::nullopt;
}

std::optional<bool> read_flag(const ConfigNode& node, Findings& findings) {
  if (node.kind == ConfigNode::Kind::scalar && !node.quoted && (node.text == "true" || node.text == "false"))
    return node.text == "true";
  findings.add(node.where, node.shown() + ": expected true or false");
  return std::nullopt;
}

std::optional<std::string> read_text(const ConfigNode& node, Findings& findings) {
  if (node.kind == ConfigNode::Kind::scalar && !node.text.empty()) return node.text;
  findings.add(node.where, node.shown() + ": expected a text that is not empty");
  return std::nullopt;
}

std::optional<std::string> read_choice(const ConfigNode& node, const std::vector<std::string>& allowed,
                                       Findings& findings) {
  if (node.kind == ConfigNode::Kind::scalar && std::find(allowed.begin(), allowed.end(), node.text) != allowed.end())
    return node.text;
  const auto near = node.kind == ConfigNode::Kind::scalar ? nearest(node.text, allowed) : std::nullopt;
  findings.add(node.where, fmt::format("{}: expected one of: {}{}", node.shown(), join(allowed),
                                       near ? fmt::format(" (did you mean '{}'?)", *near) : ""));
  return std::nullopt;
}

std::string read_config_text(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) throw ConfigError(path + ": the job file does not exist");
  if (!fs::is_regular_file(status)) throw ConfigError(path + ": the job file is not a regular file");
  const auto size = fs::file_size(path, error);
  if (!error && size > max_config_bytes)
    throw ConfigError(
        fmt::format("{}: the job file has {} bytes; at most {} are allowed", path, size, max_config_bytes));
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && size > 0) text << file.rdbuf();
  if (!file) throw ConfigError(path + ": the job file cannot be read: " + std::strerror(errno));
  return text.str();
}

void apply_override(ConfigNode& root, const std::string& assignment) {
  const std::string source = "--set " + assignment;
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw ConfigError(source + ": expected KEY=VALUE, for example aif.method=file");
  ConfigNode value = parse_config(assignment.substr(equals + 1), source);
  std::vector<std::string> parts;
  std::istringstream keys(assignment.substr(0, equals) + '.');  // so that an empty last part shows, too
  for (std::string part; std::getline(keys, part, '.');) parts.push_back(part);
  if (std::any_of(parts.begin(), parts.end(), [](const auto& p) { return p.empty(); }))
    throw ConfigError(source + ": the key has an empty part; expected for example aif.method=file");

  const auto child = [&](ConfigNode& map, const std::string& key) -> ConfigNode& {
    if (map.kind == ConfigNode::Kind::null) map.kind = ConfigNode::Kind::map;
    if (map.kind != ConfigNode::Kind::map)
      throw ConfigError(fmt::format("{}: '{}' is not a map, so '{}' cannot be set in it", source, map.path, key));
    for (auto& [name, node] : map.entries)
      if (name == key) return node;
    ConfigNode added;
    added.path = map.path.empty() ? key : map.path + "." + key;
    added.where = source;
    map.entries.emplace_back(key, std::move(added));
    return map.entries.back().second;
  };

  ConfigNode* at = nullptr;
  std::size_t next = 0;
  const std::vector<std::string> top{"output", "seed", "cohort", "stages", "parallel"};
  if (std::find(top.begin(), top.end(), parts[0]) == top.end()) {
    std::vector<std::string> names;
    for (auto& [key, stages] : root.entries) {
      if (key != "stages") continue;
      for (auto& item : stages.items) {
        if (item.kind == ConfigNode::Kind::scalar) {  // `- inference` becomes `- inference: {}`
          if (item.text != parts[0]) {
            names.push_back(item.text);
            continue;
          }
          ConfigNode options;
          options.where = item.where;
          options.path = item.path + "." + item.text;
          item.entries.emplace_back(item.text, std::move(options));
          item.kind = ConfigNode::Kind::map;
        }
        if (item.kind != ConfigNode::Kind::map || item.entries.size() != 1) continue;
        auto& [type, options] = item.entries.front();
        const ConfigNode* as = options.find("as");
        const std::string name = as != nullptr ? as->text : type;
        names.push_back(name);
        if (name == parts[0]) at = &options;
      }
    }
    if (at == nullptr) {
      for (const auto& key : top) names.push_back(key);
      const auto near = nearest(parts[0], names);
      throw ConfigError(
          fmt::format("{}: '{}' is neither a stage of this job nor a key of the job file{}; there are: {}", source,
                      parts[0], near ? fmt::format(" (did you mean '{}'?)", *near) : "", join(names)));
    }
    next = 1;
  } else {
    at = &root;
  }
  // `cohort: PATH` is short for `cohort: {path: PATH}`; setting cohort.x keeps the path.
  for (; next < parts.size(); ++next) {
    ConfigNode& node = child(*at, parts[next]);
    if (next + 1 < parts.size() && at == &root && parts[next] == "cohort" && node.kind == ConfigNode::Kind::scalar) {
      ConfigNode path = node;
      path.path = "cohort.path";
      node = ConfigNode{};
      node.kind = ConfigNode::Kind::map;
      node.where = path.where;
      node.path = "cohort";
      node.entries.emplace_back("path", std::move(path));
    }
    at = &node;
  }
  if (at == &root) throw ConfigError(source + ": names no key");
  const std::string path = at->path;
  const auto relabel = [&](auto&& self, ConfigNode& node, const std::string& at_path) -> void {
    node.path = at_path;
    node.where = source;
    for (auto& [key, entry] : node.entries) self(self, entry, at_path + "." + key);
    for (std::size_t i = 0; i < node.items.size(); ++i) self(self, node.items[i], fmt::format("{}[{}]", at_path, i));
  };
  relabel(relabel, value, path);
  *at = std::move(value);
}

}  // namespace perfpipe
