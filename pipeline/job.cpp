#include "pipeline/job.hpp"

#include "stages/registry.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

using Kind = ConfigNode::Kind;

const std::vector<std::string> job_keys{"output", "seed", "cohort", "stages", "parallel"};

bool valid_name(const std::string& name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

/// Paths travel as JSON between ranks and into the outputs.
bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

/// `name`, `name: {options}` or `name:` -> type name and options (with `as` taken out).
void read_stage(const ConfigNode& item, const std::vector<StageType>& types, std::vector<StageInstance>& stages,
                Findings& findings) {
  std::string type_name;
  ConfigNode options;
  if (item.kind == Kind::scalar) {
    type_name = item.text;
  } else if (item.kind == Kind::map && item.entries.size() == 1) {
    type_name = item.entries.front().first;
    options = item.entries.front().second;
  } else {
    findings.add(item.where,
                 item.shown() + ": expected a stage's name, or one name with its options: `- aif: {method: file}`");
    return;
  }
  const auto type = std::find_if(types.begin(), types.end(), [&](const StageType& t) { return t.name == type_name; });
  if (type == types.end()) {
    std::vector<std::string> names;
    for (const auto& t : types) names.push_back(t.name);
    const auto near = nearest(type_name, names);
    findings.add(item.where, fmt::format("{}: unknown stage '{}'{}; there are: {}", item.path, type_name,
                                         near ? fmt::format(" (did you mean '{}'?)", *near) : "", join(names)));
    return;
  }
  StageInstance instance{type_name, *type, nullptr, item.where};
  for (auto entry = options.entries.begin(); entry != options.entries.end(); ++entry) {
    if (entry->first != "as") continue;
    const auto name = read_text(entry->second, findings);
    if (name && !valid_name(*name))
      findings.add(entry->second.where, entry->second.shown() + ": a name holds letters, digits and _ only");
    if (name) instance.name = *name;
    options.entries.erase(entry);
    break;
  }
  for (const auto& other : stages)
    if (other.name == instance.name)
      findings.add(
          item.where,
          fmt::format("{}: a stage named '{}' stands already at {}; give this one a name of its own with `as:`",
                      item.path, instance.name, other.where));
  instance.stage = instance.type.configure(options, findings);
  stages.push_back(std::move(instance));
}

void read_parallel(const ConfigNode* node, Job& job, Findings& findings) {
  if (node == nullptr || node->kind == Kind::null) return;
  if (node->kind != Kind::map) {
    findings.add(node->where, node->shown() + ": expected a map, for example {threads: auto}");
    return;
  }
  reject_unknown_keys(*node, {"deterministic", "device", "threads", "slab_memory"}, findings);
  if (const auto* deterministic = node->find("deterministic")) {
    const auto flag = read_flag(*deterministic, findings);
    if (flag && !*flag)
      findings.add(deterministic->where,
                   deterministic->shown() + ": only true is offered: results are the same bits on any number of ranks");
  }
  if (const auto* device = node->find("device"))
    if (const auto choice = read_choice(*device, {"auto", "cpu", "cuda"}, findings)) {
      job.device = *choice == "cuda"  ? DeviceChoice::cuda
                   : *choice == "cpu" ? DeviceChoice::cpu
                                      : DeviceChoice::automatic;
      job.device_name = *choice;
    }
  const auto* threads = node->find("threads");
  if (threads != nullptr && threads->text != "auto")
    if (const auto n = read_integer(*threads, {1, 1024}, findings)) job.threads = static_cast<int>(*n);
  if (const auto* slab = node->find("slab_memory"))
    if (const auto n = read_integer(*slab, {1, 1 << 20}, findings)) job.slab_mebibytes = *n;
}

const char* type_text(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return "float32";
    case ElementType::float64:
      return "float64";
    case ElementType::uint8:
      return "uint8";
    case ElementType::int32:
      return "int32";
  }
  return "";
}

std::string describe(const DatasetSpec& spec) {
  return fmt::format("({}) {} in {}", fmt::join(spec.axes, ", "), type_text(spec.type), spec.units);
}

}  // namespace

void check_ports(const std::vector<StageInstance>& stages, Findings& findings) {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    for (const ReadPort& port : stages[i].stage->ports().reads) {
      bool written = false;
      bool from_known = port.from.empty();
      for (std::size_t j = 0; j < i; ++j) {
        from_known = from_known || stages[j].name == port.from;
        if (!port.from.empty() && stages[j].name != port.from) continue;
        for (const DatasetSpec& spec : stages[j].stage->ports().writes) {
          if (spec.name != port.dataset.name) continue;
          written = true;
          if (spec.axes != port.dataset.axes || spec.units != port.dataset.units || spec.type != port.dataset.type)
            findings.add(stages[i].where,
                         fmt::format("stage '{}' reads '{}' as {}, but '{}' writes it as {}", stages[i].name, spec.name,
                                     describe(port.dataset), stages[j].name, describe(spec)));
          if (spec.samples != 0 && port.dataset.samples != 0 && spec.samples != port.dataset.samples)
            findings.add(
                stages[i].where,
                fmt::format("stage '{}' needs '{}' of {} samples in time, but '{}' gives {}; set {}.samples={}",
                            stages[i].name, spec.name, port.dataset.samples, stages[j].name, spec.samples,
                            stages[j].name, port.dataset.samples));
        }
      }
      if (!from_known) {
        std::vector<std::string> names;
        for (std::size_t j = 0; j < i; ++j) names.push_back(stages[j].name);
        findings.add(stages[i].where,
                     fmt::format("stage '{}' takes '{}' from '{}', but no stage before it has that name; there are: {}",
                                 stages[i].name, port.dataset.name, port.from, join(names)));
      } else if (!written && !port.optional) {
        std::vector<std::string> writers;
        for (const auto& type : all_stage_types()) {
          Findings ignored;
          const auto stage = type.configure(ConfigNode{}, ignored);
          for (const auto& spec : stage->ports().writes)
            if (spec.name == port.dataset.name) writers.push_back(type.name);
        }
        findings.add(
            stages[i].where,
            fmt::format("stage '{}' reads '{}', which no stage before it writes; put one of these before it: {}",
                        stages[i].name, port.dataset.name, join(writers)));
      }
    }
  }
}

Job parse_job(const std::string& text, const std::string& source, const JobOverrides& overrides) {
  ConfigNode root = parse_config(text, source);
  if (root.kind != Kind::map) throw ConfigError(root.where + ": a job file is a map with the keys: " + join(job_keys));
  Findings findings;
  for (const auto& setting : overrides.settings) {
    try {
      apply_override(root, setting);
    } catch (const ConfigError& error) {
      const std::string message = error.what();
      const auto place_end = message.find(": ");
      findings.add(message.substr(0, place_end), message.substr(place_end + 2));
    }
  }
  Job job;
  job.source = source;
  reject_unknown_keys(root, job_keys, findings);

  const auto command_line = [&](const std::string& option, const std::string& value, const std::string& path) {
    ConfigNode node;
    node.kind = Kind::scalar;
    node.text = value;
    node.where = "--" + option;
    node.path = path;
    if (!is_utf8(value)) findings.add(node.where, "the path holds bytes that are not UTF-8; rename the folder");
    return node;
  };
  ConfigNode output, cohort;
  const bool has_output = root.find("output") != nullptr || !overrides.output.empty();
  if (!overrides.output.empty())
    output = command_line("output", overrides.output, "output");
  else if (has_output)
    output = *root.find("output");
  if (!has_output)
    findings.add(root.where, "the key 'output' is missing: the folder that the job writes to");
  else if (const auto path = read_text(output, findings))
    job.output = *path;
  job.output_where = output.where;

  if (const auto* seed = root.find("seed"))
    if (const auto n = read_integer(*seed, {0, 9.3e18}, findings)) job.seed = static_cast<std::uint64_t>(*n);
  read_parallel(root.find("parallel"), job, findings);

  const ConfigNode* stages = root.find("stages");
  if (stages == nullptr || stages->kind != Kind::sequence || stages->items.empty()) {
    findings.add(stages == nullptr ? root.where : stages->where,
                 "the key 'stages' must be a list of at least one stage");
  } else {
    const auto types = all_stage_types();
    for (const auto& item : stages->items) read_stage(item, types, job.stages, findings);
  }

  const bool simulates = std::any_of(job.stages.begin(), job.stages.end(),
                                     [](const auto& s) { return s.stage->simulated_cohort().has_value(); });
  if (const auto* given = root.find("cohort")) cohort = *given;
  if (!overrides.cohort.empty()) {
    if (cohort.kind == Kind::map) {
      std::erase_if(cohort.entries, [](const auto& entry) { return entry.first == "path"; });
      cohort.entries.emplace_back("path", command_line("cohort", overrides.cohort, "cohort.path"));
    } else {
      cohort = command_line("cohort", overrides.cohort, "cohort");
    }
  }
  if (simulates) {
    if (job.stages.size() > 1)
      findings.add(job.stages.back().where,
                   "a phantom is a job of its own: run it first, then a second job whose cohort is its output");
    if (cohort.kind != Kind::null)
      findings.add(cohort.where, "a phantom job has no cohort: it writes one at 'output'; remove the key");
  } else if (cohort.kind == Kind::null) {
    findings.add(root.where, "the key 'cohort' is missing: the folder with the patients' series");
  } else {
    job.cohort = read_cohort_options(cohort, findings);
  }
  for (const auto& instance : job.stages)
    if (instance.type.name == "import") job.cohort.mask_mode = instance.stage->parameters().at("mask");
  if (findings.empty()) check_ports(job.stages, findings);
  findings.throw_if_any(ExitCode::config);

  auto& resolved = job.resolved;
  resolved["output"] = job.output.string();
  resolved["seed"] = job.seed;
  if (!simulates) resolved["cohort"] = to_json(job.cohort);
  for (const auto& instance : job.stages) {
    auto parameters = instance.stage->parameters();
    if (instance.name != instance.type.name) parameters["as"] = instance.name;
    resolved["stages"].push_back({{instance.type.name, std::move(parameters)}});
  }
  resolved["parallel"] = {
      {"deterministic", true},
      {"device", job.device_name},
      {"threads", job.threads == 0 ? nlohmann::ordered_json("auto") : nlohmann::ordered_json(job.threads)},
      {"slab_memory", job.slab_mebibytes}};
  return job;
}

}  // namespace perfpipe
