#include "pipeline/runner.hpp"

#include "cluster/dispatcher.hpp"
#include "core/atomic_file.hpp"
#include "core/kept_arrays.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "core/version.hpp"
#include "pipeline/device_of_rank.hpp"
#include "pipeline/inputs.hpp"
#include "pipeline/output_folder.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/reuse.hpp"
#include "pipeline/task_runner.hpp"
#include "pipeline/threads_of_rank.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

void print_plan(const Job& job, const std::vector<PlannedTask>& plan, const std::vector<ReuseVerdict>& verdicts,
                RunMode mode) {
  std::size_t reused = 0;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const auto& task = plan[i];
    reused += verdicts[i].reuse;
    fmt::print("{} {}\n", verdicts[i].reuse ? "reuse" : "run  ", task.info.id());
    if (mode == RunMode::explain) {
      fmt::print("        because {}\n", verdicts[i].reason);
      continue;
    }
    std::vector<std::string> reads;
    for (const auto& file : task.files) reads.push_back(file.string());
    for (const auto& input : task.inputs) {
      const auto id = plan[static_cast<std::size_t>(input.task)].info.id();
      if (std::find(reads.begin(), reads.end(), id) == reads.end()) reads.push_back(id);
    }
    std::vector<std::string> writes;
    for (const auto& spec : job.stages[static_cast<std::size_t>(task.stage)].stage->ports().writes)
      writes.push_back(spec.name);
    fmt::print("        reads  {}\n        writes {} -> {}\n", reads.empty() ? "nothing" : join(reads), join(writes),
               artifact_path(job.output, task.info).string());
  }
  fmt::print("{} tasks: {} to run, {} reused\n", plan.size(), plan.size() - reused, reused);
}

class JobRun {
 public:
  JobRun(const Job& job, Communicator& communicator, Log& log) : job_(job), comm_(communicator), log_(log) {
    info_.output = job.output;
    info_.seed = job.seed;
    info_.slab_bytes = static_cast<std::size_t>(job.slab_mebibytes) << 20;
    info_.resolved = job.resolved;
    info_.cohort = job.cohort.path;
    info_.threads = job.threads > 0 ? job.threads : threads_of_this_rank(communicator);
  }

  ~JobRun() { drop_kept_arrays(); }
  JobRun(const JobRun&) = delete;
  JobRun& operator=(const JobRun&) = delete;

  ExitCode run(RunMode mode) {
    const auto start = std::chrono::steady_clock::now();
    if (comm_.rank() == 0) check_folders(job_);
    if (mode != RunMode::validate) here_ = device_of_this_rank(job_, comm_);  // a job may be checked without a GPU
    info_.device = here_.device;
    std::unique_ptr<OutputLock> lock;
    if (comm_.rank() == 0 && mode == RunMode::run) {
      lock = std::make_unique<OutputLock>(job_.output);
      remove_leftovers(job_.output);
    }
    inputs_ = check_inputs(job_, comm_, info_.threads);
    if (lock) lock->keep();
    plan_ = make_plan(job_, inputs_.cohort, inputs_.hashes, info_.device);
    if (mode == RunMode::validate) {
      if (comm_.rank() == 0) tell_verdict();
      comm_.barrier("end of the checks");
      return inputs_.cohort.skipped.empty() ? ExitCode::done : ExitCode::partial;
    }
    std::vector<ReuseVerdict> verdicts;
    if (comm_.rank() == 0) verdicts = judge_reuse(plan_, job_.output, info_.threads);
    if (mode != RunMode::run) {
      if (comm_.rank() == 0) {
        tell_about_inputs();
        print_plan(job_, plan_, verdicts, mode);
      }
      comm_.barrier("end of the plan");
      return ExitCode::done;
    }
    log_.open(job_.output / "logs");
    log_.event("start", {{"version", version},
                         {"ranks", comm_.size()},
                         {"threads", info_.threads},
                         {"device", info_.device.kind},
                         {"gpu", here_.gpu}});
    if (comm_.rank() == 0) {
      tell_about_inputs();
      if (!here_.placement.warning.empty()) log_.warn(here_.placement.warning);
      log_.info("computing on " + here_.placement.summary);
    }
    const auto outcomes = run_tasks(verdicts);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    int code = 0;
    if (comm_.rank() == 0) code = static_cast<int>(finish(outcomes, verdicts, seconds));
    return static_cast<ExitCode>(std::stoi(comm_.broadcast(std::to_string(code), 0, "exit code")));
  }

 private:
  void tell_about_inputs() {
    const Cohort& cohort = inputs_.cohort;
    for (const auto& warning : cohort.warnings) log_.warn(warning);
    for (const auto& series : cohort.series)
      for (const auto& warning : series.warnings) log_.warn(series.name + ": " + warning);
    for (const auto& skipped : cohort.skipped)
      log_.error(fmt::format("{} is skipped: {}", skipped.name, skipped.reason));
  }

  void tell_verdict() {
    tell_about_inputs();
    const Cohort& cohort = inputs_.cohort;
    fmt::print("{}: sound: {} series of {} subjects, {} tasks{}\n", job_.source, cohort.series.size(),
               cohort.subjects().size(), plan_.size(),
               cohort.skipped.empty() ? "" : fmt::format("; {} series skipped", cohort.skipped.size()));
  }

  std::vector<TaskOutcome> run_tasks(const std::vector<ReuseVerdict>& verdicts) {
    std::string reuse;
    for (const auto& verdict : verdicts) reuse += verdict.reuse ? '1' : '0';
    reuse = comm_.broadcast(reuse, 0, "what is reused");
    std::vector<GraphTask> graph;
    double cost = 0.0;
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      GraphTask task;
      task.cost = plan_[i].cost;
      for (const auto& input : plan_[i].inputs) task.inputs.push_back(input.task);
      std::sort(task.inputs.begin(), task.inputs.end());
      task.inputs.erase(std::unique(task.inputs.begin(), task.inputs.end()), task.inputs.end());
      task.done = reuse[i] == '1';
      task.accepts_failed_inputs = stage_of(job_, plan_[i]).accepts_failed_inputs();
      task.together = stage_of(job_, plan_[i]).together(info_.device);
      // Ranks that share a GPU would wait for each other at each step, where one alone is as fast.
      const bool crowded = task.together > 1 && here_.placement.most_ranks_on_one_gpu > 1;
      task.max_ranks = crowded ? 1 : stage_of(job_, plan_[i]).max_ranks(plan_[i].info);
      task.kind = plan_[i].stage;
      if (!task.done) cost += task.cost;
      graph.push_back(std::move(task));
    }
    const auto to_run = static_cast<std::size_t>(std::count(reuse.begin(), reuse.end(), '0'));
    std::unique_ptr<Progress> progress;
    if (comm_.rank() == 0) {
      log_.info(fmt::format("{} tasks: {} to run, {} reused; {} rank{} with {} thread{} each", plan_.size(), to_run,
                            plan_.size() - to_run, comm_.size(), comm_.size() == 1 ? "" : "s", info_.threads,
                            info_.threads == 1 ? "" : "s"));
      for (std::size_t i = 0; i < plan_.size(); ++i)
        if (verdicts[i].damaged)
          log_.warn(fmt::format("{}: {}; it is made anew", artifact_path(job_.output, plan_[i].info).string(),
                                verdicts[i].reason));
      progress = std::make_unique<Progress>(to_run, cost, stderr);
    }
    DispatchHooks hooks;
    hooks.stop_requested = stop_signal_received;
    TaskRunner runner({job_, comm_, log_, info_, here_.gpu, inputs_.cohort, plan_});
    hooks.execute = [&](int task, const std::vector<int>& failed, Communicator* group) {
      return runner.execute(plan_[static_cast<std::size_t>(task)], failed, group);
    };
    hooks.execute_together = [&](const std::vector<int>& tasks, const std::vector<std::vector<int>>& failed) {
      return runner.execute_together(tasks, failed);
    };
    hooks.started = [&](int task, int rank) {
      progress->started(plan_[static_cast<std::size_t>(task)].info.id(), rank);
    };
    hooks.finished = [&](int task, const TaskOutcome& outcome) {
      const auto& planned = plan_[static_cast<std::size_t>(task)];
      if (outcome.status == TaskStatus::not_run) return;
      progress->finished(planned.info.id(), outcome.rank, outcome.seconds, planned.cost,
                         outcome.status == TaskStatus::failed    ? "FAILED"
                         : outcome.status == TaskStatus::skipped ? "skipped, its inputs failed"
                                                                 : "");
    };
    return run_graph(comm_, graph, hooks);
  }

  /// Manifest, last words for the user, exit code. Rank 0.
  ExitCode finish(const std::vector<TaskOutcome>& outcomes, const std::vector<ReuseVerdict>& verdicts, double seconds) {
    json tasks = json::array(), failures = json::array();
    std::size_t not_run = 0;
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      const auto& outcome = outcomes[i];
      const bool bad = outcome.status == TaskStatus::failed || outcome.status == TaskStatus::skipped;
      not_run += outcome.status == TaskStatus::not_run;
      if (bad) failures.push_back(plan_[i].info.id() + ": " + outcome.message);
      tasks.push_back({{"task", plan_[i].info.id()},
                       {"key", plan_[i].key},
                       {"reused", verdicts[i].reuse},
                       {"seconds", outcome.seconds},
                       {"rank", outcome.rank},
                       {"status", outcome.status == TaskStatus::done ? "done"
                                  : bad                              ? "failed"
                                                                     : "not run"}});
    }
    for (const auto& skipped : inputs_.cohort.skipped) failures.push_back(skipped.name + ": " + skipped.reason);
    const json manifest{{"version", version},          {"job", job_.resolved}, {"ranks", comm_.size()},
                        {"device", info_.device.kind}, {"seconds", seconds},   {"complete", not_run == 0},
                        {"failures", failures},        {"tasks", tasks}};
    write_file_atomically(job_.output / "manifest.json", manifest.dump(1) + "\n");
    if (not_run > 0) {
      log_.warn(fmt::format("stopped on request with {} tasks left; the same command goes on from here", not_run));
      return ExitCode::resumable;
    }
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      if (plan_[i].info.scope != Scope::cohort || outcomes[i].status != TaskStatus::done) continue;
      const auto summary = ArtifactReader(artifact_path(job_.output, plan_[i].info)).metadata().value("summary", "");
      if (!summary.empty()) fmt::print("{}\n", summary);
    }
    std::fflush(stdout);
    if (!failures.empty()) {
      log_.error(fmt::format("finished in {:.1f} s, but {} part{} failed:", seconds, failures.size(),
                             failures.size() == 1 ? "" : "s"));
      for (const auto& failure : failures) log_.error(failure.get<std::string>());
      return ExitCode::partial;
    }
    log_.info(fmt::format("finished in {:.1f} s; output in {}", seconds, job_.output.string()));
    return ExitCode::done;
  }

  const Job& job_;
  Communicator& comm_;
  Log& log_;
  JobInfo info_;
  DeviceOfRank here_;
  CheckedInputs inputs_;
  std::vector<PlannedTask> plan_;
};

}  // namespace

ExitCode run_job(const Job& job, RunMode mode, Communicator& communicator, Log& log) {
  return JobRun(job, communicator, log).run(mode);
}

}  // namespace perfpipe
