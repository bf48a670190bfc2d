#include "pipeline/plan.hpp"

#include "core/hash.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace perfpipe {
namespace {

std::vector<TaskInfo> tasks_of(const StageInstance& instance, const Cohort& cohort) {
  std::vector<TaskInfo> tasks;
  switch (instance.type.scope) {
    case Scope::cohort: {
      TaskInfo info;
      info.stage = instance.name;
      info.name = "cohort";
      info.scope = Scope::cohort;
      tasks.push_back(info);
      break;
    }
    case Scope::patient:
      for (std::size_t i = 0; i < cohort.series.size(); ++i) {
        TaskInfo info;
        info.stage = instance.name;
        info.name = cohort.series[i].name;
        info.scope = Scope::patient;
        info.series = static_cast<int>(i);
        info.subject = cohort.series[i].subject;
        tasks.push_back(info);
      }
      break;
    case Scope::fold:
      for (const auto& subject : cohort.subjects())
        for (Parameter parameter : instance.stage->fold_parameters()) {
          TaskInfo info;
          info.stage = instance.name;
          info.name = fmt::format("fold-{}_{}", subject, name(parameter));
          info.scope = Scope::fold;
          info.held_out = subject;
          info.parameter = parameter;
          tasks.push_back(info);
        }
      break;
  }
  return tasks;
}

/// Whether `reader` takes its input from `writer`, by their scopes.
bool reads_from(const TaskInfo& reader, const TaskInfo& writer) {
  if (reader.scope == Scope::cohort || writer.scope == Scope::cohort) return true;
  if (reader.scope == Scope::patient && writer.scope == Scope::patient) return reader.series == writer.series;
  if (reader.scope == Scope::fold && writer.scope == Scope::patient) return writer.subject != reader.held_out;
  if (reader.scope == Scope::fold && writer.scope == Scope::fold)
    return writer.held_out == reader.held_out && writer.parameter == reader.parameter;
  return writer.held_out == reader.subject;  // a patient's task reads the folds that never saw that patient
}

/// Indices of the stages that serve a port, in the order of the job.
std::vector<int> writers_of(const ReadPort& port, const std::vector<StageInstance>& stages, int reader) {
  std::vector<int> writers;
  for (int j = 0; j < reader; ++j) {
    const auto& candidate = stages[static_cast<std::size_t>(j)];
    if (!port.from.empty() && candidate.name != port.from) continue;
    const auto writes = candidate.stage->ports().writes;
    if (std::any_of(writes.begin(), writes.end(),
                    [&](const DatasetSpec& spec) { return spec.name == port.dataset.name; }))
      writers.push_back(j);
  }
  if (!port.all_writers && writers.size() > 1) writers = {writers.back()};
  return writers;
}

/// Subjects whose data a result derives from, directly or through any chain of inputs.
using Origins = std::set<std::string>;

Origins origins_of(const TaskInfo& info, const std::vector<PlannedInput>& inputs, const Cohort& cohort,
                   const std::vector<Origins>& origins) {
  Origins all;
  if (info.scope == Scope::patient) all.insert(info.subject);
  if (info.scope == Scope::cohort)
    for (const auto& subject : cohort.subjects()) all.insert(subject);
  for (const auto& input : inputs) {
    const auto& of_input = origins[static_cast<std::size_t>(input.task)];
    all.insert(of_input.begin(), of_input.end());
  }
  return all;
}

void refuse_leakage(const StageInstance& instance, const TaskInfo& info, const std::vector<PlannedInput>& inputs,
                    const std::vector<PlannedTask>& plan, const std::vector<Origins>& origins) {
  if (info.scope != Scope::fold) return;
  for (const auto& input : inputs)
    if (origins[static_cast<std::size_t>(input.task)].contains(info.held_out))
      throw ConfigError(fmt::format(
          "{}: leakage: {} holds out {}, but reads '{}' of {}, which was made with the data of {}; name a stage that "
          "uses no trained network (for maps by the option `targets`)",
          instance.where, info.id(), info.held_out, input.port, plan[static_cast<std::size_t>(input.task)].info.id(),
          info.held_out));
}

}  // namespace

std::filesystem::path artifact_path(const std::filesystem::path& output, const TaskInfo& task) {
  return output / "store" / task.stage / (task.name + ".h5");
}

std::vector<std::filesystem::path> external_files(const Job& job, const Cohort& cohort) {
  std::set<std::filesystem::path> files;
  for (const auto& instance : job.stages)
    for (const auto& task : tasks_of(instance, cohort))
      for (const auto& file : instance.stage->files(task, cohort)) files.insert(file);
  return {files.begin(), files.end()};
}

std::vector<PlannedTask> make_plan(const Job& job, const Cohort& cohort, const FileHashes& hashes,
                                   const Device& device) {
  std::vector<PlannedTask> plan;
  std::vector<Origins> origins;
  std::vector<std::pair<int, int>> range_of_stage;
  for (std::size_t s = 0; s < job.stages.size(); ++s) {
    const auto& instance = job.stages[s];
    const Ports ports = instance.stage->ports();
    const int first = static_cast<int>(plan.size());
    for (auto& info : tasks_of(instance, cohort)) {
      PlannedTask task;
      task.stage = static_cast<int>(s);
      task.cost = instance.stage->cost(info);
      auto& from = task.made_from;
      from["stage"] = instance.type.name;
      from["version"] = instance.type.version;
      from["task"] = info.name;
      from["options"] = instance.stage->parameters();
      if (instance.stage->uses_seed()) from["seed"] = job.seed;
      // Not for the CPU, the usual case: keys of results from before there were GPUs stay as they are.
      if (instance.stage->device_use() == DeviceUse::own_bits && device.kind != "cpu") from["device"] = device.kind;
      if (instance.stage->wants_fast_arithmetic() && device.kind == "cpu") from["arithmetic"] = device.fast_arithmetic;
      if (instance.stage->shows_job()) {
        from["job"] = job.resolved;
        from["job"].erase("output");  // where it lies changes nothing
      }
      if (const auto facts = instance.stage->key_facts(info, cohort); !facts.is_null()) from["facts"] = facts;
      from["inputs"] = nlohmann::ordered_json::object();
      for (const auto& port : ports.reads)
        for (int writer : writers_of(port, job.stages, static_cast<int>(s)))
          for (int i = range_of_stage[static_cast<std::size_t>(writer)].first;
               i < range_of_stage[static_cast<std::size_t>(writer)].second; ++i) {
            const auto& source = plan[static_cast<std::size_t>(i)];
            if (!reads_from(info, source.info)) continue;
            task.inputs.push_back({i, port.dataset.name});
            from["inputs"][source.info.id()] = source.key;
          }
      from["files"] = nlohmann::ordered_json::object();
      task.files = instance.stage->files(info, cohort);
      for (const auto& file : task.files) {
        const auto hash = hashes.find(file.string());
        // By name and not by path: the same data elsewhere are the same data. Two files may share a name, though.
        std::string label = file.filename().string();
        for (int n = 2; from["files"].contains(label); ++n) label = fmt::format("{} ({})", file.filename().string(), n);
        from["files"][label] = hash == hashes.end() ? "" : hash->second;
      }
      task.key = hash128(from.dump());
      refuse_leakage(instance, info, task.inputs, plan, origins);
      origins.push_back(origins_of(info, task.inputs, cohort, origins));
      task.info = std::move(info);
      plan.push_back(std::move(task));
    }
    range_of_stage.emplace_back(first, static_cast<int>(plan.size()));
  }
  return plan;
}

std::string key_without(const std::string& key, const std::vector<std::string>& missing) {
  return missing.empty() ? key : hash128(key + " without " + join(missing));
}

std::string explain_difference(const nlohmann::json& before, const nlohmann::json& now) {
  std::vector<std::string> words;
  for (const auto& [field, value] : now.items()) {
    if (field == "device" && !before.contains(field)) {
      words.push_back(fmt::format("device was the CPU, is {}", value.get<std::string>()));
    } else if (!before.contains(field)) {
      words.push_back(field + " is new");
    } else if (before[field] != value && value.is_object() && before[field].is_object()) {
      const bool shows_values = field == "options" || field == "facts";
      for (const auto& [name, inner] : value.items()) {
        if (!before[field].contains(name))
          words.push_back(fmt::format("{}: {} is new", field, name));
        else if (before[field][name] != inner)
          words.push_back(
              shows_values ? fmt::format("{}: {} was {}, is {}", field, name, before[field][name].dump(), inner.dump())
                           : fmt::format("{}: {} changed", field, name));
      }
      for (const auto& [name, inner] : before[field].items())
        if (!value.contains(name)) words.push_back(fmt::format("{}: {} is gone", field, name));
    } else if (before[field] != value) {
      words.push_back(fmt::format("{} was {}, is {}", field, before[field].dump(), value.dump()));
    }
  }
  if (before.contains("device") && !now.contains("device"))
    words.push_back(fmt::format("device was {}, is the CPU", before["device"].get<std::string>()));
  return words.empty() ? "nothing that is recorded" : join(words, "; ");
}

}  // namespace perfpipe
