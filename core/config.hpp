// The job file as a tree that remembers where each value stands, so that every error names its line and column.
#pragma once

#include "core/error.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perfpipe {

/// A value of the job file. Built from YAML events: duplicate keys, tags, merge keys, second documents, tabs and
/// aliases that expand beyond the cap are errors (yaml-cpp alone accepts most of them silently).
struct ConfigNode {
  enum class Kind { null, scalar, sequence, map };
  Kind kind = Kind::null;
  std::string text;     ///< of a scalar
  bool quoted = false;  ///< a quoted scalar is text, never a number
  std::vector<ConfigNode> items;
  std::vector<std::pair<std::string, ConfigNode>> entries;
  std::string where;  ///< "cv.yaml:12:17" (1-based), or "--set aif.method=x"
  std::string path;   ///< "stages[2].bsvd_targets.threshold"

  const ConfigNode* find(std::string_view key) const;
  /// Adds a number, word or true under a key that a map does not have, as if it had been written there.
  void set_default(const std::string& key, const std::string& value);
  /// "threshold = 1.4" style text of what was found, for messages.
  std::string shown() const;
};

/// Caps on what a job file may be (INPUTS: job file).
inline constexpr std::size_t max_config_bytes = 1u << 20;
inline constexpr int max_config_depth = 32;

/// Parses YAML text; `source` is the file's name for messages. Throws ConfigError with line and column.
ConfigNode parse_config(const std::string& text, const std::string& source);

/// The whole text of a job file. Throws ConfigError if it is missing, unreadable, not a file or over the cap.
std::string read_config_text(const std::string& path);

/// Sets `a.b.c=value` in the tree (value parsed as YAML), creating maps on the way. Throws ConfigError.
/// The first part may name a stage (by its type or its `as:` name).
void apply_override(ConfigNode& root, const std::string& assignment);

/// Bounds of a number, with open or closed ends.
struct Range {
  double low;
  double high;
  bool low_open = false;
  bool high_open = false;
  bool contains(double x) const { return (low_open ? x > low : x >= low) && (high_open ? x < high : x <= high); }
  std::string text() const;
};

// Reading one value: each adds a finding and returns nothing when the value is of the wrong type or out of range.
std::optional<double> read_number(const ConfigNode& node, const Range& range, Findings& findings);
std::optional<std::int64_t> read_integer(const ConfigNode& node, const Range& range, Findings& findings);
std::optional<bool> read_flag(const ConfigNode& node, Findings& findings);
std::optional<std::string> read_text(const ConfigNode& node, Findings& findings);
/// A list of points [[x, y, z], ...], whole numbers from 0.
using Point = std::array<std::int64_t, 3>;
std::optional<std::vector<Point>> read_points(const ConfigNode& node, Findings& findings);
std::optional<std::string> read_choice(const ConfigNode& node, const std::vector<std::string>& allowed,
                                       Findings& findings);

/// Adds a finding for every key of `node` that is not in `allowed`, with the nearest one and the whole set.
void reject_unknown_keys(const ConfigNode& node, const std::vector<std::string>& allowed, Findings& findings);

/// The candidate nearest to `word` by edit distance, if it is near enough to be a typo.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b, c" for messages.
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

}  // namespace perfpipe
