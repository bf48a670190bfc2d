// A job's tasks as ranks are given them.
#pragma once

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
  /// are ready, or nothing else runs. With max_ranks above 1 ranks share those of which there is but one for each rank.
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

}  // namespace perfpipe
