// Hands out the tasks of a graph to ranks: what is ready, longest chain first, no barrier between stages.
#pragma once

#include "core/communicator.hpp"

#include <functional>
#include <string>
#include <vector>

namespace perfpipe {

/// A task as the dispatcher sees it.
struct GraphTask {
  double cost = 1.0;
  std::vector<int> inputs;             ///< tasks that come first; all have smaller indices
  bool done = false;                   ///< reused: nothing to run
  bool accepts_failed_inputs = false;  ///< runs with what is there when some inputs failed
  int max_ranks = 1;                   ///< so many may share it, where there are more ranks than tasks
  int kind = 0;                        ///< tasks of one kind run at the same time; those of others come before or after
  /// A rank had better run up to so many of this kind at once (networks on a GPU): they are handed out when all of them
  /// are ready, or nothing else runs. Not together with max_ranks above 1.
  int together = 1;
};

enum class TaskStatus : int { done, failed, skipped, not_run };

/// How a task ended.
struct TaskOutcome {
  TaskStatus status = TaskStatus::not_run;
  std::string message;  ///< of a failure
  double seconds = 0.0;
  int rank = -1;
};

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

/// How many of the `idle` ranks shall share the next of `pending` tasks that up to `max_ranks` may share, when `soon`
/// more ranks will be free within a good part of its time: a power of two, as shards divide by it; 0: better wait for
/// those.
int ranks_to_share(int max_ranks, int pending, int idle, int soon);

/// For each task its cost plus that of the costliest chain behind it.
std::vector<double> chain_costs(const std::vector<GraphTask>& graph);

}  // namespace perfpipe
