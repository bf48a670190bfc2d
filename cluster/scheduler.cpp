#include "cluster/scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace perfpipe {

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

Scheduler::Scheduler(const std::vector<GraphTask>& graph)
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

int Scheduler::next(bool shared_too, bool together_too) const {
  int best = no_task;
  double longest = 0.0;
  for (const int one : ready_) {
    if (!shared_too && can_be_shared(one)) continue;
    if (!together_too && task(one).together > 1) continue;
    const double chain = priority_[static_cast<std::size_t>(one)];
    if (best != no_task && (chain < longest || (chain == longest && one > best))) continue;
    best = one;
    longest = chain;
  }
  return best;
}

void Scheduler::start(int which, int ranks, std::size_t company) {
  ready_.erase(std::find(ready_.begin(), ready_.end(), which));
  running_.push_back({which, static_cast<double>(ranks) / static_cast<double>(1 + company), Clock::now()});
}

std::vector<int> Scheduler::company(int which, int ranks, int busy) const {
  const auto alike = [&](int other) { return task(other).kind == task(which).kind; };
  std::vector<int> ready;
  std::copy_if(ready_.begin(), ready_.end(), std::back_inserter(ready), alike);
  std::size_t unfinished = 0, running = 0;
  for (int i = 0; i < static_cast<int>(graph_.size()); ++i)
    unfinished += alike(i) && !task(i).done && !ended_tasks_[static_cast<std::size_t>(i)];
  for (const auto& run : running_) running += alike(run.task);
  if (ready.size() + running < unfinished && (!running_.empty() || ready_.size() > ready.size())) return {};
  std::sort(ready.begin(), ready.end());
  const auto shares = static_cast<std::size_t>(std::max(1, ranks - busy));
  ready.resize(std::min((ready.size() + shares - 1) / shares, static_cast<std::size_t>(task(which).together)));
  return ready;
}

int Scheduler::pending_shared(int which) const {
  int pending = 0;
  for (int i = 0; i < static_cast<int>(graph_.size()); ++i)
    pending += shared_like(which, i) && !task(i).done && !ended_tasks_[static_cast<std::size_t>(i)];
  for (const auto& run : running_) pending -= shared_like(which, run.task);
  return pending;
}

int Scheduler::ranks_free_soon(int which) const {
  const double cost = task(which).cost;
  const auto past = past_.find(task(which).kind);
  const bool known = past != past_.end() && past->second.cost > 0.0;
  // A cost is about a second until it is known better.
  const double seconds_per_cost = known ? past->second.seconds / past->second.cost : 1.0;
  const double whole = cost * seconds_per_cost;
  double soon = 0.0;
  for (const auto& run : running_) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - run.start).count();
    const double its_cost = task(run.task).cost;
    if (shared_like(which, run.task)) {
      const double left = its_cost * seconds_per_cost / run.ranks - elapsed;
      // One that is long overdue is not waited for.
      if (known && left < 0.4 * whole && left > -0.25 * whole) soon += run.ranks;
    } else if (!can_be_shared(run.task) && its_cost < 0.2 * cost && elapsed < 0.4 * whole) {
      soon += run.ranks;
    }
  }
  return static_cast<int>(std::lround(soon));
}

std::vector<int> Scheduler::failed_inputs(int which) const {
  std::vector<int> failed;
  for (int input : task(which).inputs)
    if (outcomes_[static_cast<std::size_t>(input)].status != TaskStatus::done) failed.push_back(input);
  return failed;
}

std::vector<int> Scheduler::end(int which, TaskOutcome outcome) {
  std::vector<int> skipped;
  const bool given_up = outcome.status == TaskStatus::not_run;
  ended_tasks_[static_cast<std::size_t>(which)] = true;
  const auto run = std::find_if(running_.begin(), running_.end(), [&](const Run& r) { return r.task == which; });
  if (run != running_.end()) {
    if (can_be_shared(which) && outcome.status == TaskStatus::done) {
      auto& past = past_[task(which).kind];
      past.seconds += outcome.seconds * run->ranks;
      past.cost += task(which).cost;
    }
    running_.erase(run);
  }
  outcomes_[static_cast<std::size_t>(which)] = std::move(outcome);
  ++ended_;
  if (given_up) return skipped;  // the job stops: what depends on it has not failed, it has not run either
  for (int next : dependents_[static_cast<std::size_t>(which)]) {
    if (--open_inputs_[static_cast<std::size_t>(next)] > 0) continue;
    const auto failed = failed_inputs(next);
    const GraphTask& candidate = task(next);
    if (failed.empty() || (candidate.accepts_failed_inputs && failed.size() < candidate.inputs.size())) {
      ready_.push_back(next);
      continue;
    }
    skipped.push_back(next);
    for (int further : end(next, {TaskStatus::skipped, "its inputs failed", 0.0, -1})) skipped.push_back(further);
  }
  return skipped;
}

void Crew::came_back(int rank, int task) {
  waiting.push_back(rank);
  if (task == no_task) --not_yet_here_;
  task_of_.erase(rank);
  if (task != no_task) ending_.insert(task);
}

std::vector<Order> next_orders(Scheduler& scheduler, Crew& crew) {
  std::vector<Order> orders;
  bool shared_too = true, together_too = true;
  auto& waiting = crew.waiting;
  while (!waiting.empty()) {
    const int task = scheduler.next(shared_too, together_too);
    if (task == no_task) break;
    Order order{{task}, {}};
    if (scheduler.task(task).together > 1) {
      const int kind = scheduler.task(task).kind;
      const int busy = crew.busy_with([&](int other) { return scheduler.task(other).kind == kind; });
      order.tasks = scheduler.company(task, crew.ranks(), busy);
      if (order.tasks.empty()) {  // the others may start meanwhile
        together_too = false;
        continue;
      }
    }
    int count = 1;
    if (const int one = order.tasks.front(); order.tasks.size() == 1 && scheduler.can_be_shared(one)) {
      count = ranks_to_share(scheduler.task(one).max_ranks, scheduler.pending_shared(one),
                             static_cast<int>(waiting.size()), scheduler.ranks_free_soon(one) + crew.returning());
      if (count == 0) {
        shared_too = false;
        continue;
      }
    }
    if (count > 1) std::sort(waiting.begin(), waiting.end());  // neighbours, most likely of one node
    order.ranks.assign(waiting.begin(), waiting.begin() + count);
    waiting.erase(waiting.begin(), waiting.begin() + count);
    for (const int one : order.tasks) scheduler.start(one, count, order.tasks.size() - 1);
    for (const int rank : order.ranks) crew.sent_to(rank, order.tasks.front());
    orders.push_back(std::move(order));
  }
  return orders;
}

}  // namespace perfpipe
