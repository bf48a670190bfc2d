#include "cluster/dispatcher.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <set>
#include <thread>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

using nlohmann::json;
constexpr auto poll_interval = std::chrono::microseconds(500);
constexpr int no_task = -1;

/// Requests travel on one communicator and answers on another, so that rank 0 can be its own customer.
struct Lines {
  explicit Lines(Communicator& parent)
      : requests(parent.split(0, "dispatcher requests")), answers(parent.split(0, "dispatcher answers")) {}
  std::unique_ptr<Communicator> requests;
  std::unique_ptr<Communicator> answers;
};

/// State of the graph on rank 0; knows nothing of messages.
class Scheduler {
 public:
  explicit Scheduler(const std::vector<GraphTask>& graph)
      : graph_(graph),
        priority_(chain_costs(graph)),
        ended_tasks_(graph.size(), false),
        outcomes_(graph.size()),
        open_inputs_(graph.size(), 0),
        dependents_(graph.size()) {
    for (std::size_t i = 0; i < graph.size(); ++i) {
      if (graph[i].done) {
        outcomes_[i].status = TaskStatus::done;
        ++ended_;
        continue;
      }
      for (int input : graph[i].inputs) {
        if (graph[static_cast<std::size_t>(input)].done) continue;
        ++open_inputs_[i];
        dependents_[static_cast<std::size_t>(input)].push_back(static_cast<int>(i));
      }
      if (open_inputs_[i] == 0) ready_.push_back(static_cast<int>(i));
    }
  }

  bool all_ended() const { return ended_ == graph_.size(); }
  const std::vector<TaskOutcome>& outcomes() const { return outcomes_; }

  /// The ready task with the longest chain (the first of equals), or no_task; `shared_too`: also one that ranks may
  /// share; `together_too`: also one that is run with others.
  int next(bool shared_too, bool together_too) const {
    int best = no_task;
    double longest = 0.0;
    for (const int task : ready_) {
      if (!shared_too && can_be_shared(task)) continue;
      if (!together_too && together(task) > 1) continue;
      const double chain = priority_[static_cast<std::size_t>(task)];
      if (best != no_task && (chain < longest || (chain == longest && task > best))) continue;
      best = task;
      longest = chain;
    }
    return best;
  }

  void start(int task, int ranks) {
    ready_.erase(std::find(ready_.begin(), ready_.end(), task));
    running_.push_back({task, ranks, Clock::now()});
  }

  int together(int task) const { return graph_[static_cast<std::size_t>(task)].together; }

  /// The ready task and those that one of `ranks` ranks, `busy` of which have some of this kind already, runs with it.
  /// None: others of their kind will be ready in a while.
  std::vector<int> company(int task, int ranks, int busy) const {
    const int kind = graph_[static_cast<std::size_t>(task)].kind;
    std::vector<int> ready;
    std::size_t unfinished = 0, running = 0;
    for (std::size_t i = 0; i < graph_.size(); ++i)
      unfinished += graph_[i].kind == kind && !graph_[i].done && !ended_tasks_[i];
    for (const auto& run : running_) running += graph_[static_cast<std::size_t>(run.task)].kind == kind;
    for (const int one : ready_)
      if (graph_[static_cast<std::size_t>(one)].kind == kind) ready.push_back(one);
    if (ready.size() + running < unfinished && (!running_.empty() || ready_.size() > ready.size())) return {};
    std::sort(ready.begin(), ready.end());
    const auto shares = static_cast<std::size_t>(std::max(1, ranks - busy));
    ready.resize(std::min((ready.size() + shares - 1) / shares, static_cast<std::size_t>(together(task))));
    return ready;
  }

  bool can_be_shared(int task) const { return graph_[static_cast<std::size_t>(task)].max_ranks > 1; }
  bool shared_like(int task, int other) const {
    return can_be_shared(other) &&
           graph_[static_cast<std::size_t>(task)].kind == graph_[static_cast<std::size_t>(other)].kind;
  }
  int max_ranks(int task) const { return graph_[static_cast<std::size_t>(task)].max_ranks; }

  /// Tasks of this one's kind that ranks may share and that have not started.
  int pending_shared(int task) const {
    int pending = 0;
    for (std::size_t i = 0; i < graph_.size(); ++i)
      pending += shared_like(task, static_cast<int>(i)) && !graph_[i].done && !ended_tasks_[i];
    for (const auto& run : running_) pending -= shared_like(task, run.task);
    return pending;
  }

  /// Ranks that will probably be free within 0.4 of the time that `task` would take one rank: then two ranks after a
  /// wait are sooner done than one at once. Those in a task of the same kind, by the time that such tasks took so far;
  /// and those in a task of their own that costs little beside it (a binning while the first training could start).
  int ranks_free_soon(int task) const {
    const double cost = graph_[static_cast<std::size_t>(task)].cost;
    const auto past = past_.find(graph_[static_cast<std::size_t>(task)].kind);
    const bool known = past != past_.end() && past->second.cost > 0.0;
    // A cost is about a second until it is known better.
    const double seconds_per_cost = known ? past->second.seconds / past->second.cost : 1.0;
    const double whole = cost * seconds_per_cost;
    int soon = 0;
    for (const auto& run : running_) {
      const double elapsed = std::chrono::duration<double>(Clock::now() - run.start).count();
      const double its_cost = graph_[static_cast<std::size_t>(run.task)].cost;
      if (shared_like(task, run.task)) {
        const double left = its_cost * seconds_per_cost / run.ranks - elapsed;
        // One that is long overdue is not waited for.
        if (known && left < 0.4 * whole && left > -0.25 * whole) soon += run.ranks;
      } else if (!can_be_shared(run.task) && its_cost < 0.2 * cost && elapsed < 0.4 * whole) {
        soon += run.ranks;
      }
    }
    return soon;
  }

  std::vector<int> failed_inputs(int task) const {
    std::vector<int> failed;
    for (int input : graph_[static_cast<std::size_t>(task)].inputs)
      if (outcomes_[static_cast<std::size_t>(input)].status != TaskStatus::done) failed.push_back(input);
    return failed;
  }

  /// Records an outcome; tasks that cannot run without it are skipped and returned.
  std::vector<int> end(int task, TaskOutcome outcome) {
    std::vector<int> skipped;
    const bool given_up = outcome.status == TaskStatus::not_run;
    ended_tasks_[static_cast<std::size_t>(task)] = true;
    const auto run = std::find_if(running_.begin(), running_.end(), [&](const Run& r) { return r.task == task; });
    if (run != running_.end()) {
      if (can_be_shared(task) && outcome.status == TaskStatus::done) {
        auto& past = past_[graph_[static_cast<std::size_t>(task)].kind];
        past.seconds += outcome.seconds * run->ranks;
        past.cost += graph_[static_cast<std::size_t>(task)].cost;
      }
      running_.erase(run);
    }
    outcomes_[static_cast<std::size_t>(task)] = std::move(outcome);
    ++ended_;
    if (given_up) return skipped;  // the job stops: what depends on it has not failed, it has not run either
    for (int next : dependents_[static_cast<std::size_t>(task)]) {
      if (--open_inputs_[static_cast<std::size_t>(next)] > 0) continue;
      const auto failed = failed_inputs(next);
      const GraphTask& candidate = graph_[static_cast<std::size_t>(next)];
      if (failed.empty() || (candidate.accepts_failed_inputs && failed.size() < candidate.inputs.size())) {
        ready_.push_back(next);
        continue;
      }
      skipped.push_back(next);
      for (int further : end(next, {TaskStatus::skipped, "its inputs failed", 0.0, -1})) skipped.push_back(further);
    }
    return skipped;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Run {
    int task;
    int ranks;
    Clock::time_point start;
  };
  const std::vector<GraphTask>& graph_;
  std::vector<double> priority_;
  std::vector<Run> running_;
  std::vector<bool> ended_tasks_;
  struct Past {
    double seconds = 0.0;  ///< times ranks
    double cost = 0.0;
  };
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
  explicit Crew(int ranks) : not_yet_here_(ranks) {}
  std::vector<int> waiting;

  void came_back(int rank, int task) {
    waiting.push_back(rank);
    if (task == no_task) --not_yet_here_;
    task_of_.erase(rank);
    if (task != no_task) ending_.insert(task);
  }
  void sent_to(int rank, int task) { task_of_[rank] = task; }
  /// Ranks at work on tasks of which `is_one` holds.
  template <class IsOne>
  int busy_with(const IsOne& is_one) const {
    return static_cast<int>(
        std::count_if(task_of_.begin(), task_of_.end(), [&](const auto& sent) { return is_one(sent.second); }));
  }
  int returning() const {
    return not_yet_here_ + static_cast<int>(std::count_if(task_of_.begin(), task_of_.end(), [&](const auto& sent) {
             return ending_.contains(sent.second);
           }));
  }

 private:
  int not_yet_here_;
  std::map<int, int> task_of_;
  std::set<int> ending_;
};

/// Gives the waiting ranks what is ready.
void hand_out(Lines& lines, const std::vector<GraphTask>& graph, Scheduler& scheduler, const DispatchHooks& hooks,
              Crew& crew) {
  bool shared_too = true, together_too = true;
  auto& waiting = crew.waiting;
  while (!waiting.empty()) {
    const int task = scheduler.next(shared_too, together_too);
    if (task == no_task) return;
    std::vector<int> tasks{task};
    int count = 1;
    if (scheduler.together(task) > 1) {
      const auto kind_of = [&](int one) { return graph[static_cast<std::size_t>(one)].kind; };
      const int busy = crew.busy_with([&](int other) { return kind_of(other) == kind_of(task); });
      tasks = scheduler.company(task, lines.requests->size(), busy);
      if (tasks.empty()) {  // the others may start meanwhile
        together_too = false;
        continue;
      }
    } else if (scheduler.can_be_shared(task)) {
      count = ranks_to_share(scheduler.max_ranks(task), scheduler.pending_shared(task),
                             static_cast<int>(waiting.size()), scheduler.ranks_free_soon(task) + crew.returning());
      if (count == 0) {
        shared_too = false;
        continue;
      }
    }
    std::vector<int> ranks(waiting.begin(), waiting.begin() + count);
    waiting.erase(waiting.begin(), waiting.begin() + count);
    std::sort(ranks.begin(), ranks.end());
    json without = json::array();
    for (const int one : tasks) {
      scheduler.start(one, count);
      if (hooks.started) hooks.started(one, ranks.front());
      without.push_back(scheduler.failed_inputs(one));
    }
    for (const int rank : ranks) crew.sent_to(rank, tasks.front());
    const json order{{"tasks", tasks}, {"without", without}, {"ranks", ranks}};
    for (const int rank : ranks) lines.answers->send(rank, order.dump(), "dispatcher");
  }
}

/// Rank 0's side: answers every rank (its own included) until all have been told that there is nothing more.
std::vector<TaskOutcome> serve(Lines& lines, const std::vector<GraphTask>& graph, const DispatchHooks& hooks,
                               const std::atomic<bool>& give_up) {
  Scheduler scheduler(graph);
  Crew crew(lines.requests->size());
  auto& waiting = crew.waiting;
  bool stopping = false;
  int sent_home = 0;
  while (sent_home < lines.requests->size() && !give_up) {
    const auto message = lines.requests->try_receive(any_rank, "dispatcher");
    if (message) {
      const json request = json::parse(message->bytes);
      stopping = stopping || request.at("stop").get<bool>();
      const auto& ended = request.at("ended");
      if (request.at("first").get<bool>())
        for (const auto& one : ended) {
          const int task = one.at("task");
          TaskOutcome outcome{static_cast<TaskStatus>(one.at("status").get<int>()), one.at("message"),
                              one.at("seconds"), message->from};
          stopping = stopping || outcome.status == TaskStatus::not_run;
          if (hooks.finished) hooks.finished(task, outcome);
          for (int skipped : scheduler.end(task, std::move(outcome)))
            if (hooks.finished) hooks.finished(skipped, scheduler.outcomes()[static_cast<std::size_t>(skipped)]);
        }
      crew.came_back(message->from, ended.empty() ? no_task : ended.front().at("task").get<int>());
    }
    stopping = stopping || (hooks.stop_requested && hooks.stop_requested());
    if (stopping || scheduler.all_ended()) {
      for (const int rank : waiting) lines.answers->send(rank, json{{"tasks", json::array()}}.dump(), "dispatcher");
      sent_home += static_cast<int>(waiting.size());
      waiting.clear();
    } else {
      hand_out(lines, graph, scheduler, hooks, crew);
    }
    if (!message) std::this_thread::sleep_for(poll_interval);
  }
  return scheduler.outcomes();
}

/// Every rank's side: asks for a task, runs it, reports it with the next request.
void work(Lines& lines, const DispatchHooks& hooks, const std::atomic<bool>& give_up) {
  const auto stop = [&] { return hooks.stop_requested && hooks.stop_requested(); };
  json request{{"ended", json::array()}, {"first", true}, {"stop", stop()}};
  while (!give_up) {
    // A failure's message may hold any bytes (a file's name), but JSON is UTF-8.
    lines.requests->send(0, request.dump(-1, ' ', false, json::error_handler_t::replace), "asking for a task");
    std::optional<Message> answer;
    while (!(answer = lines.answers->try_receive(0, "waiting for a task")) && !give_up)
      std::this_thread::sleep_for(poll_interval);
    if (give_up) return;
    const json order = json::parse(answer->bytes);
    const auto tasks = order.at("tasks").get<std::vector<int>>();
    if (tasks.empty()) return;
    const auto without = order.at("without").get<std::vector<std::vector<int>>>();
    const auto ranks = order.at("ranks").get<std::vector<int>>();
    std::unique_ptr<Communicator> group;
    if (ranks.size() > 1) group = lines.answers->group(ranks, tasks.front(), "forming a group of ranks");
    const auto outcomes = tasks.size() > 1 ? hooks.execute_together(tasks, without)
                                           : std::vector{hooks.execute(tasks.front(), without.front(), group.get())};
    json ended = json::array();
    for (std::size_t i = 0; i < tasks.size(); ++i)
      ended.push_back({{"task", tasks[i]},
                       {"status", static_cast<int>(outcomes.at(i).status)},
                       {"message", outcomes[i].message},
                       {"seconds", outcomes[i].seconds}});
    request = {{"ended", ended}, {"first", ranks.front() == lines.answers->rank()}, {"stop", stop()}};
  }
}

}  // namespace

int ranks_to_share(int max_ranks, int pending, int idle, int soon) {
  const auto share = [&](int ranks) {
    int count = 1;
    while (2 * count <= max_ranks && 2 * count * pending <= ranks) count *= 2;
    return count;
  };
  const int wanted = share(idle + soon);
  if (wanted <= idle) return wanted;
  return 0;
}

std::vector<double> chain_costs(const std::vector<GraphTask>& graph) {
  std::vector<double> chain(graph.size(), 0.0);
  for (std::size_t i = graph.size(); i-- > 0;) {
    chain[i] += graph[i].done ? 0.0 : graph[i].cost;
    for (int input : graph[i].inputs)
      chain[static_cast<std::size_t>(input)] = std::max(chain[static_cast<std::size_t>(input)], chain[i]);
  }
  return chain;
}

std::vector<TaskOutcome> run_graph(Communicator& communicator, const std::vector<GraphTask>& graph,
                                   const DispatchHooks& hooks) {
  Lines lines(communicator);
  std::atomic<bool> give_up{false};
  if (communicator.rank() != 0) {
    work(lines, hooks, give_up);
    return {};
  }
  std::vector<TaskOutcome> outcomes;
  std::exception_ptr server_error;
  std::thread server([&] {
    try {
      outcomes = serve(lines, graph, hooks, give_up);
    } catch (...) {
      server_error = std::current_exception();
      give_up = true;
    }
  });
  std::exception_ptr worker_error;
  try {
    work(lines, hooks, give_up);
  } catch (...) {
    worker_error = std::current_exception();
    give_up = true;
  }
  server.join();
  if (worker_error) std::rethrow_exception(worker_error);
  if (server_error) std::rethrow_exception(server_error);
  return outcomes;
}

}  // namespace perfpipe
