#include "stages/label_errors.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

/// Sums over conditions from which bias and RMSE of all of them together follow.
struct Pooled {
  double voxels = 0.0, truth = 0.0, difference = 0.0, square = 0.0;
  Overlap late;

  void add(const ConditionErrors& e) {
    const auto n = static_cast<double>(e.agreement.count());
    voxels += n;
    truth += n * e.agreement.mean_reference();
    difference += n * e.agreement.bias();
    square += n * e.agreement.rmse() * e.agreement.rmse();
    late.a += e.late.a;
    late.b += e.late.b;
    late.both += e.late.both;
  }
};

}  // namespace

void ConditionErrors::add(double estimate, double truth) {
  agreement.add(estimate, truth);
  estimates += estimate;
  late.add(truth > late_tmax, estimate > late_tmax);
}

bool LabelErrors::accept(const LabelTable& table) {
  if (factors_.empty()) factors_ = table.factors;
  if (factors_ != table.factors) return false;
  for (const auto& [label, levels] : table.levels)
    if (std::find(order_.begin(), order_.end(), levels) == order_.end()) order_.push_back(levels);
  return true;
}

LabelErrors::Map& LabelErrors::map_of(const std::string& maker, Parameter p) {
  for (auto& map : errors_)
    if (map.maker == maker && map.parameter == p) return map;
  errors_.push_back({maker, p, {}});
  return errors_.back();
}

void LabelErrors::add(const std::string& maker, Parameter p, const LabelTable& table, std::span<const float> labels,
                      std::span<const float> estimates, std::span<const float> truths,
                      std::span<const std::uint8_t> inside) {
  Map& map = map_of(maker, p);
  std::map<int, ConditionErrors*> by_label;  // found once for each label, not for each voxel
  for (const auto& [label, levels] : table.levels) by_label[label] = &map.conditions[levels];
  for (std::size_t v = 0; v < labels.size(); ++v) {
    if (inside[v] == 0) continue;
    const auto found = by_label.find(static_cast<int>(std::lround(labels[v])));
    if (found != by_label.end()) found->second->add(estimates[v], truths[v]);
  }
}

nlohmann::ordered_json LabelErrors::by_factor() const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (std::size_t f = 0; f < factors_.size(); ++f) {
    std::vector<std::string> levels;
    for (const auto& condition : order_)
      if (std::find(levels.begin(), levels.end(), condition[f]) == levels.end()) levels.push_back(condition[f]);
    for (const auto& map : errors_)
      for (const auto& level : levels) {
        Pooled pooled;
        for (const auto& [condition, errors] : map.conditions)
          if (condition[f] == level) pooled.add(errors);
        if (pooled.voxels == 0.0) continue;
        rows.push_back({{"factor", factors_[f]},
                        {"level", level},
                        {"parameter", name(map.parameter)},
                        {"units", facts(map.parameter).units},
                        {"maker", map.maker},
                        {"voxels", pooled.voxels},
                        {"truth", pooled.truth / pooled.voxels},
                        {"bias", pooled.difference / pooled.voxels},
                        {"rmse", std::sqrt(pooled.square / pooled.voxels)}});
        if (map.parameter == Parameter::tmax && pooled.late.a > 0) rows.back()["dice"] = pooled.late.dice();
      }
  }
  return rows;
}

std::string LabelErrors::csv() const {
  std::string text = fmt::format("maker,parameter,units,{},voxels,truth,estimate,bias,rmse,true_over_6,over_6,both\n",
                                 fmt::join(factors_, ","));
  for (const auto& map : errors_)
    for (const auto& condition : order_) {
      const auto found = map.conditions.find(condition);
      if (found == map.conditions.end() || found->second.agreement.count() == 0) continue;
      const auto& e = found->second;
      const auto& a = e.agreement;
      text += fmt::format("{},{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},", map.maker, name(map.parameter),
                          facts(map.parameter).units, fmt::join(condition, ","), a.count(), a.mean_reference(),
                          e.estimates / static_cast<double>(a.count()), a.bias(), a.rmse());
      text += map.parameter == Parameter::tmax ? fmt::format("{},{},{}\n", e.late.a, e.late.b, e.late.both) : ",,\n";
    }
  return text;
}

}  // namespace perfpipe
