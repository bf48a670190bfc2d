// What is ready and which ranks are to run it: the dispatcher's decisions, without its messages.
#pragma once

#include "cluster/task_graph.hpp"

#include <chrono>
#include <map>
#include <set>
#include <vector>

namespace perfpipe {

inline constexpr int no_task = -1;

/// For each task its cost plus that of the costliest chain behind it.
std::vector<double> chain_costs(const std::vector<GraphTask>& graph);

/// How many of the `idle` ranks shall share the next of `pending` tasks that up to `max_ranks` may share, when `soon`
/// more ranks will be free within a good part of its time: a power of two, as shards divide by it; 0: better wait for
/// those.
int ranks_to_share(int max_ranks, int pending, int idle, int soon);

/// State of the graph.
class Scheduler {
 public:
  explicit Scheduler(const std::vector<GraphTask>& graph);

  bool all_ended() const { return ended_ == graph_.size(); }
  const std::vector<TaskOutcome>& outcomes() const { return outcomes_; }

  /// The ready task with the longest chain (the first of equals), or no_task; `shared_too`: also one that ranks may
  /// share; `together_too`: also one that is run with others.
  int next(bool shared_too, bool together_too) const;
  /// `company` more tasks are run with it.
  void start(int which, int ranks, std::size_t company);
  /// Records an outcome; tasks that cannot run without it are skipped and returned.
  std::vector<int> end(int which, TaskOutcome outcome);
  std::vector<int> failed_inputs(int which) const;

  /// The ready task and those that one of `ranks` ranks, `busy` of which have some of this kind already, runs with it.
  /// None: others of their kind will be ready in a while.
  std::vector<int> company(int which, int ranks, int busy) const;

  /// Tasks of this one's kind that ranks may share and that have not started.
  int pending_shared(int which) const;
  /// Ranks that will probably be free within 0.4 of the time that `which` would take one rank: then two ranks after a
  /// wait are sooner done than one at once. Those in a task of the same kind, by the time that such tasks took so far;
  /// and those in a task of their own that costs little beside it (a binning while the first training could start).
  int ranks_free_soon(int which) const;

  const GraphTask& task(int which) const { return graph_[static_cast<std::size_t>(which)]; }
  bool can_be_shared(int which) const { return task(which).max_ranks > 1; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Run {
    int task;
    double ranks;  ///< a part of one where it runs with others
    Clock::time_point start;
  };
  struct Past {
    double seconds = 0.0;  ///< times ranks
    double cost = 0.0;
  };

  bool shared_like(int which, int other) const { return can_be_shared(other) && task(which).kind == task(other).kind; }

  const std::vector<GraphTask>& graph_;
  std::vector<double> priority_;
  std::vector<Run> running_;
  std::vector<bool> ended_tasks_;
  std::map<int, Past> past_;  ///< by kind: of ended tasks that may be shared
  std::vector<TaskOutcome> outcomes_;
  std::vector<int> open_inputs_;
  std::vector<std::vector<int>> dependents_;
  std::vector<int> ready_;
  std::size_t ended_ = 0;
};

/// Which ranks wait, and which will do so in a moment: those that have not asked for their first task yet, and those of
/// a group of which one has come back already.
class Crew {
 public:
  explicit Crew(int ranks) : ranks_(ranks), not_yet_here_(ranks) {}
  std::vector<int> waiting;

  int ranks() const { return ranks_; }
  void came_back(int rank, int task);
  void sent_to(int rank, int task) { task_of_[rank] = task; }
  /// Ranks at work on tasks of which `is_one` holds.
  template <class IsOne>
  int busy_with(const IsOne& is_one) const {
    int busy = 0;
    for (const auto& [rank, task] : task_of_) busy += is_one(task);
    return busy;
  }
  int returning() const {
    return not_yet_here_ + busy_with([&](int task) { return ending_.contains(task); });
  }

 private:
  int ranks_;
  int not_yet_here_;
  std::map<int, int> task_of_;
  std::set<int> ending_;
};

/// What some ranks are to do.
struct Order {
  std::vector<int> tasks;  ///< several: to be run together
  std::vector<int> ranks;  ///< ascending; several: they share the task
};

/// What the waiting ranks are given of what is ready: it is started, and they wait no more.
std::vector<Order> next_orders(Scheduler& scheduler, Crew& crew);

}  // namespace perfpipe
