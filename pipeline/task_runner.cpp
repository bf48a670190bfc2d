#include "pipeline/task_runner.hpp"

#include "cluster/device_communicators.hpp"
#include "core/atomic_file.hpp"
#include "core/kept_arrays.hpp"
#include "core/signals.hpp"
#include "pipeline/reuse.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <sys/resource.h>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

/// Why a task failed, beside where its artifact would be: ranks that make do without it read it there.
fs::path failure_path(const fs::path& output, const TaskInfo& task) {
  return artifact_path(output, task).replace_extension(".failed");
}

std::string failure_reason(const fs::path& output, const TaskInfo& task) {
  std::ifstream file(failure_path(output, task), std::ios::binary);
  const std::string reason{std::istreambuf_iterator<char>(file), {}};
  return reason.empty() ? "its inputs failed" : reason;
}

/// Time that all threads of this process have computed so far.
double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// The most memory that this process has held so far.
long peak_mebibytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss >> 10;
}

}  // namespace

const Stage& stage_of(const Job& job, const PlannedTask& task) {
  return *job.stages[static_cast<std::size_t>(task.stage)].stage;
}

/// A task that this rank has begun.
struct TaskRunner::OpenTask {
  const PlannedTask& task;
  Communicator* group;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  double processor_before = processor_seconds();
  bool reused = false;
  std::unique_ptr<ArtifactWriter> output = nullptr;
  std::unique_ptr<StageContext> context = nullptr;

  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }
};

void TaskRunner::open(OpenTask& open, const std::vector<int>& failed) {
  const auto& task = open.task;
  std::vector<std::string> missing;
  for (int input : failed) missing.push_back(on_.plan[static_cast<std::size_t>(input)].info.id());
  if (is_done_without(task, missing, on_.job.output)) {
    on_.log.event("task reused", {{"task", task.info.id()}, {"without", missing}});
    open.reused = true;
    return;
  }
  std::vector<TaskInput> inputs;
  std::vector<FailedInput> failures;
  for (const auto& input : task.inputs) {
    const auto& source = on_.plan[static_cast<std::size_t>(input.task)].info;
    if (std::find(failed.begin(), failed.end(), input.task) != failed.end())
      failures.push_back({source, input.port, failure_reason(on_.job.output, source)});
    else
      inputs.push_back({source, artifact_path(on_.job.output, source), input.port});
  }
  if (task.info.scope != Scope::patient) drop_kept_arrays();  // they are the patients' curves
  open.output = std::make_unique<ArtifactWriter>(artifact_path(on_.job.output, task.info),
                                                 key_without(task.key, missing), task.made_from);
  TaskRun run{artifact_path(on_.job.output, task.info), task.made_from, missing, open.group};
  if (on_.info.device.cuda && open.group != nullptr)
    run.gpus_of_group = [this, &task, group = open.group] { return gpus_of(*group, task.info.id()); };
  open.context = std::make_unique<StageContext>(
      task.info, on_.info, on_.cohort,
      StoreView(task.info.id(), task.info.held_out, std::move(inputs), std::move(failures)), *open.output, on_.log,
      stop_signal_received, std::move(run));
}

/// The GPUs of ranks that share a task, by the best way that there is between them.
std::unique_ptr<DeviceCommunicator> TaskRunner::gpus_of(Communicator& group, const std::string& task) {
  std::string how;
  auto gpus = make_device_communicator(group, {on_.info.device.index, on_.gpu}, how);
  if (group.rank() == 0) on_.log.info(fmt::format("{}: shared by {} GPUs, {}", task, group.size(), how));
  return gpus;
}

TaskOutcome TaskRunner::execute(const PlannedTask& task, const std::vector<int>& failed, Communicator* group) {
  on_.log.event("task started", {{"task", task.info.id()}});
  OpenTask one{task, group};
  return conclude(one, [&] {
    open(one, failed);
    if (!one.reused) stage_of(on_.job, task).run(*one.context);
  });
}

std::vector<TaskOutcome> TaskRunner::execute_together(const std::vector<int>& tasks,
                                                      const std::vector<std::vector<int>>& failed) {
  std::vector<std::unique_ptr<OpenTask>> all;
  std::vector<StageContext*> contexts;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    all.emplace_back(new OpenTask{on_.plan[static_cast<std::size_t>(tasks[i])], nullptr});
    on_.log.event("task started", {{"task", all[i]->task.info.id()}, {"together_with", tasks.size() - 1}});
    open(*all[i], failed[i]);
    if (!all[i]->reused) contexts.push_back(all[i]->context.get());
  }
  const auto thrown = contexts.empty() ? std::vector<std::exception_ptr>()
                                       : stage_of(on_.job, all.front()->task).run_together(contexts);
  std::vector<TaskOutcome> outcomes;
  std::size_t next = 0;
  for (auto& one : all) {
    outcomes.push_back(conclude(*one, [&] {
      if (one->reused) return;
      if (const auto& failure = thrown.at(next++)) std::rethrow_exception(failure);
    }));
    one->context.reset();
  }
  return outcomes;
}

/// Does the task's work, commits its artifact, and tells how it ended. Throws what ends the whole job.
TaskOutcome TaskRunner::conclude(OpenTask& open, const std::function<void()>& work) {
  const auto& task = open.task;
  Communicator* const group = open.group;
  try {
    work();
    if (open.reused) return {TaskStatus::done, "", open.seconds(), on_.comm.rank()};
    if (open.context->is_first_of_group()) {
      open.output->commit(on_.info.threads);
      open.context->remove_state();
      std::error_code ignored;
      fs::remove(failure_path(on_.job.output, task.info), ignored);
    }
  } catch (const TaskFailure& failure) {
    if (group == nullptr || group->rank() == 0) {
      on_.log.error(fmt::format("{}: {}", task.info.id(), failure.what()));
      write_file_atomically(failure_path(on_.job.output, task.info), failure.what());
    }
    return {TaskStatus::failed, failure.what(), open.seconds(), on_.comm.rank()};
  } catch (const Stopped&) {
    return {TaskStatus::not_run, "stopped", open.seconds(), on_.comm.rank()};
  } catch (const Error& error) {
    // What only the work itself could find wrong with a patient (no artery in sight) is skipped as the checks skip.
    if (error.code() == ExitCode::input && task.info.scope == Scope::patient && on_.job.cohort.on_error == "skip") {
      on_.log.error(fmt::format("{}: {}", task.info.id(), error.what()));
      write_file_atomically(failure_path(on_.job.output, task.info), error.what());
      return {TaskStatus::failed, error.what(), open.seconds(), on_.comm.rank()};
    }
    on_.log.event("job failed", {{"task", task.info.id()}, {"message", error.what()}});
    throw Error(error.code(), fmt::format("{}: {}", task.info.id(), error.what()));
  }
  on_.log.event("task done", {{"task", task.info.id()},
                              {"seconds", open.seconds()},
                              {"processor_seconds", processor_seconds() - open.processor_before},
                              {"peak_mebibytes", peak_mebibytes()}});
  return {TaskStatus::done, "", open.seconds(), on_.comm.rank()};
}

}  // namespace perfpipe
