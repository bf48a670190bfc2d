// Runs one stage on artifacts that a test has written, without a plan and without ranks.
#pragma once

#include "core/stage.hpp"
#include "stages/registry.hpp"
#include "tests/temp_folder.hpp"

#include <stdexcept>
#include <string>
#include <vector>

namespace perfpipe {

/// A stage with these options ("{bins: 4}"). Throws if they are not valid.
inline std::unique_ptr<Stage> make_stage(const std::string& type_name, const std::string& options) {
  for (const auto& type : all_stage_types()) {
    if (type.name != type_name) continue;
    Findings findings;
    auto stage = type.configure(parse_config(options, "options"), findings);
    findings.throw_if_any(ExitCode::config);
    return stage;
  }
  throw std::runtime_error("no stage " + type_name);
}

inline TaskInfo patient_task(const std::string& stage, const std::string& subject) {
  TaskInfo task;
  task.stage = stage;
  task.name = task.subject = subject;
  task.scope = Scope::patient;
  return task;
}

inline TaskInfo fold_task(const std::string& stage, const std::string& held_out, Parameter parameter) {
  TaskInfo task;
  task.stage = stage;
  task.name = "fold-" + held_out + "_" + std::string(name(parameter));
  task.scope = Scope::fold;
  task.held_out = held_out;
  task.parameter = parameter;
  return task;
}

/// A store in a folder of its own, with artifacts of tasks.
class StageRun {
 public:
  explicit StageRun(Cohort cohort = {}) : cohort_(std::move(cohort)) { job_.output = folder_.path(); }
  JobInfo& job() { return job_; }
  Log& log() { return log_; }

  /// Writes an artifact of a task by `write`, and offers it on these ports.
  void add(const TaskInfo& task, const std::vector<std::string>& ports,
           const std::function<void(ArtifactWriter&)>& write) {
    const auto file = folder_ / (task.stage + "_" + task.name + ".h5");
    ArtifactWriter writer(file, "key", nullptr);
    write(writer);
    writer.commit();
    for (const auto& port : ports) inputs_.push_back({task, file, port});
  }

  /// Runs the stage for this task on all artifacts but those of the held-out subject, and opens what it left.
  ArtifactReader run(const Stage& stage, const TaskInfo& task) {
    std::vector<TaskInput> inputs;
    for (const auto& input : inputs_)
      if (task.held_out.empty() || input.task.subject != task.held_out) inputs.push_back(input);
    const auto file = folder_ / "result.h5";
    ArtifactWriter output(file, "key", nullptr);
    StageContext context(task, job_, cohort_, StoreView(task.id(), task.held_out, inputs), output, log_,
                         [] { return false; });
    stage.run(context);
    output.commit();
    return ArtifactReader(file);
  }

 private:
  TempFolder folder_;
  JobInfo job_;
  Cohort cohort_;
  Log log_{1};
  std::vector<TaskInput> inputs_;
};

}  // namespace perfpipe
