// Hands out the tasks of a graph to ranks: what is ready, longest chain first, no barrier between stages.
#pragma once

#include "cluster/task_graph.hpp"
#include "core/communicator.hpp"

#include <functional>
#include <vector>

namespace perfpipe {

/// What the caller gives to a run.
struct DispatchHooks {
  /// Runs one task on this rank; `failed_inputs` are those it must do without. Where several ranks share it, `group` is
  /// theirs, all run it, and the outcome of the group's rank 0 counts; else it is nullptr. Throwing ends the whole job.
  std::function<TaskOutcome(int task, const std::vector<int>& failed_inputs, Communicator* group)> execute;
  /// Runs several tasks of a kind at once: their outcomes in the same order. Needed where a task has `together`
  /// above 1.
  std::function<std::vector<TaskOutcome>(const std::vector<int>& tasks,
                                         const std::vector<std::vector<int>>& failed_inputs)>
      execute_together;
  /// On rank 0 only, from the dispatcher's thread: a task was given to a rank (the first of its group); a task has
  /// ended.
  std::function<void(int task, int rank)> started;
  std::function<void(int task, const TaskOutcome& outcome)> finished;
  /// True once the job shall stop: running tasks end, no new ones start. Looked at on every rank.
  std::function<bool()> stop_requested;
};

/// Runs the graph on all ranks of `communicator` (collective). Rank 0 answers requests in a thread of its own beside
/// its own work. Returns on rank 0 the outcome of every task (`not_run` after a stop), elsewhere nothing.
std::vector<TaskOutcome> run_graph(Communicator& communicator, const std::vector<GraphTask>& graph,
                                   const DispatchHooks& hooks);

}  // namespace perfpipe
