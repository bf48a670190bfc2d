#include "model/bicnn.hpp"

#include "core/error.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

constexpr std::string_view input_scaling = "aif_peak";

std::string shown(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const auto n : shape) count *= n;
  return count;
}

/// The shortest text that reads back as the same number.
std::string number_text(double x) {
  // Not fmt: the torch wheel ships an fmt of its own, whose headers hide the system's in this folder.
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, x).ptr};
}

/// The metadata of a weight file, with a finding for each entry that is not as it must be.
class MetadataReader {
 public:
  MetadataReader(const WeightFile& file, const std::string& source, Findings& findings)
      : file_(file), source_(source), findings_(findings) {}

  const std::string* text(const std::string& key) {
    const auto found = file_.metadata.find(key);
    if (found != file_.metadata.end()) return &found->second;
    findings_.add(source_, "metadata has no '" + key + "': use a weight file written by perfpipe");
    return nullptr;
  }
  void require(const std::string& key, std::string_view needed) {
    const auto* found = text(key);
    if (found && *found != needed) refuse(key, *found, "'" + std::string(needed) + "' is needed");
  }
  void refuse(const std::string& key, const std::string& found, const std::string& needed) {
    findings_.add(source_, "metadata '" + key + "' is '" + found + "': " + needed);
  }

 private:
  const WeightFile& file_;
  const std::string& source_;
  Findings& findings_;
};

double read_scale(MetadataReader& metadata) {
  const auto* text = metadata.text("input_scale");
  if (!text) return 0.0;
  double scale = 0.0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), scale);
  if (error != std::errc() || end != text->data() + text->size() || !std::isfinite(scale) || scale <= 0.0)
    metadata.refuse("input_scale", *text, "a finite number above 0 is needed");
  return scale;
}

std::vector<std::string> read_cohort(MetadataReader& metadata) {
  std::vector<std::string> names;
  const auto* text = metadata.text("training_cohort");
  if (!text) return names;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  bool good = json.is_array();
  for (std::size_t i = 0; good && i < json.size(); ++i) {
    good = json[i].is_string();
    if (good) names.push_back(json[i].get<std::string>());
  }
  if (!good) metadata.refuse("training_cohort", *text, "a JSON list of names is needed");
  return names;
}

/// Optional: files that were written without ranges stay readable.
InputRanges read_ranges(const WeightFile& file, MetadataReader& metadata) {
  InputRanges ranges;
  const auto found = file.metadata.find("input_ranges");
  if (found == file.metadata.end()) return ranges;
  const auto json = nlohmann::json::parse(found->second, nullptr, false);
  bool good = json.is_object();
  for (auto entry = json.begin(); good && entry != json.end(); ++entry) {
    good = entry->is_array() && entry->size() == 2 && entry->at(0).is_number() && entry->at(1).is_number() &&
           entry->at(0) <= entry->at(1);
    if (good) ranges[entry.key()] = {entry->at(0), entry->at(1)};
  }
  if (!good) metadata.refuse("input_ranges", found->second, "a JSON object of [low, high] is needed");
  return ranges;
}

void check_tensors(const WeightFile& file, Parameter parameter, const std::string& source, Findings& findings) {
  const auto table = layer_table(architecture_of(parameter));
  const std::string network =
      "the " + std::string(facts(parameter).label) + " network (" + std::string(name(architecture_of(parameter))) + ")";
  for (std::size_t i = 0; i < std::max(table.size(), file.tensors.size()); ++i) {
    const std::string at = "tensor " + std::to_string(i + 1) + ": ";
    if (i >= file.tensors.size()) {
      findings.add(source, at + "missing; " + network + " needs '" + table[i].name + "' " + shown(table[i].shape));
    } else if (i >= table.size()) {
      findings.add(source, at + "'" + file.tensors[i].name + "' " + shown(file.tensors[i].shape) + ": " + network +
                               " has only " + std::to_string(table.size()) + " tensors");
    } else if (file.tensors[i].name != table[i].name || file.tensors[i].shape != table[i].shape) {
      findings.add(source, at + "'" + file.tensors[i].name + "' " + shown(file.tensors[i].shape) + ": " + network +
                               " needs '" + table[i].name + "' " + shown(table[i].shape) + " here");
    }
  }
}

}  // namespace

std::vector<LayerTensor> layer_table(Architecture architecture) {
  std::vector<LayerTensor> table;
  const auto add = [&](const std::string& layer, std::vector<std::int64_t> shape) {
    const std::int64_t outputs = shape[0];
    const std::int64_t fan_in = elements(shape) / outputs;
    table.push_back({layer + ".weight", std::move(shape), fan_in});
    table.push_back({layer + ".bias", {outputs}, fan_in});
  };
  for (const std::string chain : {"ctc", "aif"}) {
    add(chain + ".conv1", {feature_maps, filter_samples});
    if (architecture == Architecture::convolution) add(chain + ".conv2", {feature_maps, feature_samples, feature_maps});
    add(chain + ".conv3", {feature_maps, 2, 2, feature_maps});
  }
  add("fc6", {hidden_units, 2 * chain_features});
  add("fc7", {hidden_units, hidden_units});
  add("fc8", {1, hidden_units});
  return table;
}

std::int64_t weight_count(Architecture architecture) {
  std::int64_t count = 0;
  for (const auto& tensor : layer_table(architecture)) count += elements(tensor.shape);
  return count;
}

std::vector<NamedTensor> initial_weights(Architecture architecture, std::uint64_t seed, std::string_view stream) {
  Random random(seed, stream);
  std::vector<NamedTensor> tensors;
  for (const auto& layer : layer_table(architecture)) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(layer.fan_in));
    NamedTensor tensor{layer.name, layer.shape, std::vector<float>(static_cast<std::size_t>(elements(layer.shape)))};
    for (auto& value : tensor.values) value = static_cast<float>(random.uniform(-bound, bound));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::vector<float> flatten(const std::vector<NamedTensor>& tensors) {
  std::vector<float> flat;
  for (const auto& tensor : tensors) flat.insert(flat.end(), tensor.values.begin(), tensor.values.end());
  return flat;
}

std::vector<NamedTensor> unflatten(Architecture architecture, std::span<const float> flat) {
  std::vector<NamedTensor> tensors;
  for (const auto& layer : layer_table(architecture)) {
    const auto values = flat.first(static_cast<std::size_t>(elements(layer.shape)));
    tensors.push_back({layer.name, layer.shape, {values.begin(), values.end()}});
    flat = flat.subspan(values.size());
  }
  return tensors;
}

WeightFile make_weight_file(const WeightFacts& weight_facts, std::vector<NamedTensor> tensors) {
  const Parameter parameter = weight_facts.parameter;
  WeightFile file;
  file.metadata = {{"format", std::string(weight_format)},
                   {"parameter", std::string(name(parameter))},
                   {"architecture", std::string(name(architecture_of(parameter)))},
                   {"units", std::string(facts(parameter).units)},
                   {"input_scaling", std::string(input_scaling)},
                   {"input_scale", number_text(weight_facts.input_scale)},
                   {"recipe", weight_facts.recipe},
                   {"training_cohort", nlohmann::json(weight_facts.training_cohort).dump()},
                   {"version", weight_facts.version}};
  if (!weight_facts.input_ranges.empty()) {
    nlohmann::json ranges = nlohmann::json::object();
    for (const auto& [key, range] : weight_facts.input_ranges) ranges[key] = {range.low, range.high};
    file.metadata["input_ranges"] = ranges.dump();
  }
  file.tensors = std::move(tensors);
  return file;
}

WeightFacts check_weights(const WeightFile& file, const std::string& source) {
  Findings findings;
  MetadataReader metadata(file, source, findings);
  WeightFacts result;
  metadata.require("format", weight_format);
  if (const auto* text = metadata.text("parameter")) {
    const auto found =
        std::find_if(all_parameters.begin(), all_parameters.end(), [&](Parameter p) { return name(p) == *text; });
    if (found == all_parameters.end()) {
      metadata.refuse("parameter", *text, "one of cbf, cbv, mtt, tmax is needed");
    } else {
      result.parameter = *found;
      metadata.require("architecture", name(architecture_of(*found)));
      metadata.require("units", facts(*found).units);
      check_tensors(file, *found, source, findings);
    }
  }
  metadata.require("input_scaling", input_scaling);
  result.input_scale = read_scale(metadata);
  result.training_cohort = read_cohort(metadata);
  result.input_ranges = read_ranges(file, metadata);
  if (const auto* text = metadata.text("recipe")) result.recipe = *text;
  if (const auto* text = metadata.text("version")) result.version = *text;
  findings.throw_if_any(ExitCode::input);
  return result;
}

WeightFacts check_weights(const WeightFile& file, Parameter parameter, const std::string& source) {
  const auto result = check_weights(file, source);
  if (result.parameter != parameter)
    throw InputError(source + ": metadata 'parameter' is '" + std::string(name(result.parameter)) + "': weights for '" +
                     std::string(name(parameter)) + "' are needed here; give the file of that network");
  return result;
}

}  // namespace perfpipe
