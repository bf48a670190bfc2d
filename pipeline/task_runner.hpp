// One task of a job's plan on this rank: its inputs are opened, its stage runs, its artifact is committed.
#pragma once

#include "cluster/task_graph.hpp"
#include "core/communicator.hpp"
#include "core/device_communicator.hpp"
#include "core/log.hpp"
#include "pipeline/job.hpp"
#include "pipeline/plan.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace perfpipe {

const Stage& stage_of(const Job& job, const PlannedTask& task);

/// What a rank's tasks have in common. All must outlive the runner.
struct TaskSurroundings {
  const Job& job;
  Communicator& comm;
  Log& log;
  const JobInfo& info;
  const std::string& gpu;  ///< UUID of this rank's; empty on the CPU
  const Cohort& cohort;
  const std::vector<PlannedTask>& plan;
};

class TaskRunner {
 public:
  explicit TaskRunner(const TaskSurroundings& on) : on_(on) {}

  /// `failed`: which of its inputs are not there (places in the plan). `group`: the ranks that share the task, or
  /// nullptr. How it ended; throws what ends the whole job.
  TaskOutcome execute(const PlannedTask& task, const std::vector<int>& failed, Communicator* group);

  /// Several tasks of a stage at once (Stage::run_together), given as places in the plan.
  std::vector<TaskOutcome> execute_together(const std::vector<int>& tasks, const std::vector<std::vector<int>>& failed);

 private:
  struct OpenTask;
  void open(OpenTask& open, const std::vector<int>& failed);
  std::unique_ptr<DeviceCommunicator> gpus_of(Communicator& group, const std::string& task);
  TaskOutcome conclude(OpenTask& open, const std::function<void()>& work);

  TaskSurroundings on_;
};

}  // namespace perfpipe
