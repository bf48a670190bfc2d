// Options of a stage declared once: name, member, range, default, unit and meaning. The same table reads the job file,
// writes the resolved values into every output and into task keys, and prints `perfpipe stages`.
#pragma once

#include "core/config.hpp"
#include "core/parameters.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perfpipe {

/// What `perfpipe stages` prints of one option.
struct OptionHelp {
  std::string name;
  std::string type;     ///< "number", "integer", "true or false", "one of a, b", ...
  std::string allowed;  ///< range or choices
  std::string initial;  ///< default, as JSON
  std::string unit;
  std::string meaning;
};

/// Voxels by patient name; under "" those of all patients.
using PointsByName = std::map<std::string, std::vector<Point>>;

/// Table of the options held in the struct T; T's default member values are the defaults.
template <class T>
class OptionTable {
 public:
  OptionTable& number(std::string name, double T::*member, Range range, std::string unit, std::string meaning);
  OptionTable& integer(std::string name, std::int64_t T::*member, Range range, std::string unit, std::string meaning);
  OptionTable& flag(std::string name, bool T::*member, std::string meaning);
  OptionTable& choice(std::string name, std::string T::*member, std::vector<std::string> allowed, std::string meaning);
  /// Any text (a path, a name); an empty one only where the default is empty.
  OptionTable& text(std::string name, std::string T::*member, std::string meaning);
  /// A list of distinct words out of `allowed`.
  OptionTable& choices(std::string name, std::vector<std::string> T::*member, std::vector<std::string> allowed,
                       std::string meaning);
  /// Exactly `count` integers, e.g. a matrix size.
  OptionTable& integers(std::string name, std::vector<std::int64_t> T::*member, std::size_t count, Range range,
                        std::string unit, std::string meaning);
  /// Points [[x, y, z], ...] of voxels, from 0: one list for every patient (kept under ""), or a map from patient names
  /// to lists.
  OptionTable& points(std::string name, PointsByName T::*member, std::string meaning);
  /// One number for all parameters, or a map from parameter to number (those not named keep their default).
  OptionTable& per_parameter(std::string name, PerParameter T::*member, Range range, std::string unit,
                             std::string meaning);

  /// Reads a map (or nothing: all defaults); every problem becomes a finding.
  T read(const ConfigNode& node, Findings& findings) const;
  /// Resolved values, in the table's order.
  nlohmann::ordered_json write(const T& values) const;
  std::vector<OptionHelp> help() const;

 private:
  struct Entry {
    OptionHelp help;
    std::function<void(T&, const ConfigNode&, Findings&)> read;
    std::function<nlohmann::ordered_json(const T&)> write;
  };
  OptionTable& add(Entry entry);
  std::vector<Entry> entries_;
};

}  // namespace perfpipe

#include "core/options_impl.hpp"
