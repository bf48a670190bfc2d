// Errors against the truth by region or condition: what a phantom's label map tells apart.
#pragma once

#include "core/parameters.hpp"
#include "formats/label_table.hpp"
#include "stages/statistics.hpp"

#include <map>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perfpipe {

/// One maker's map of one parameter over the voxels of one condition, of all patients.
struct ConditionErrors {
  Agreement agreement;
  double estimates = 0.0;  ///< their sum
  Overlap late;            ///< Tmax over late_tmax; a: truth
  void add(double estimate, double truth);
};
inline constexpr double late_tmax = 6.0;  ///< s

/// All conditions, makers and parameters. Patients add to the conditions whose levels are theirs.
class LabelErrors {
 public:
  /// False if the table's factors are not those of the patients before: such a patient cannot be added.
  bool accept(const LabelTable& table);
  /// One slab: `labels`, `estimates` and `truths` by voxel; what has no label in the table does not count.
  void add(const std::string& maker, Parameter p, const LabelTable& table, std::span<const float> labels,
           std::span<const float> estimates, std::span<const float> truths, std::span<const std::uint8_t> inside);

  /// Errors of each maker and parameter by each level of each factor, over all levels of the others:
  /// [{factor, level, parameter, units, maker, voxels, truth, bias, rmse, dice}], in the order of first appearance.
  nlohmann::ordered_json by_factor() const;
  /// A row for each maker, parameter and condition.
  std::string csv() const;
  bool empty() const { return errors_.empty(); }

 private:
  struct Map {
    std::string maker;
    Parameter parameter;
    std::map<std::vector<std::string>, ConditionErrors> conditions;
  };
  Map& map_of(const std::string& maker, Parameter p);

  std::vector<std::string> factors_;
  std::vector<std::vector<std::string>> order_;  ///< conditions, as they were first seen in a table
  std::vector<Map> errors_;
};

}  // namespace perfpipe
