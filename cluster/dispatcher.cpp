#include "cluster/dispatcher.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
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

  /// The ready task with the longest chain (the first of equals), or no_task.
  int take() {
    const auto best = std::max_element(ready_.begin(), ready_.end(), [&](int a, int b) {
      const double pa = priority_[static_cast<std::size_t>(a)], pb = priority_[static_cast<std::size_t>(b)];
      return pa != pb ? pa < pb : a > b;
    });
    if (best == ready_.end()) return no_task;
    const int task = *best;
    ready_.erase(best);
    return task;
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
  const std::vector<GraphTask>& graph_;
  std::vector<double> priority_;
  std::vector<TaskOutcome> outcomes_;
  std::vector<int> open_inputs_;
  std::vector<std::vector<int>> dependents_;
  std::vector<int> ready_;
  std::size_t ended_ = 0;
};

/// Rank 0's side: answers every rank (its own included) until all have been told that there is nothing more.
std::vector<TaskOutcome> serve(Lines& lines, const std::vector<GraphTask>& graph, const DispatchHooks& hooks,
                               const std::atomic<bool>& give_up) {
  Scheduler scheduler(graph);
  std::vector<int> waiting;
  bool stopping = false;
  int sent_home = 0;
  while (sent_home < lines.requests->size() && !give_up) {
    const auto message = lines.requests->try_receive(any_rank, "dispatcher");
    if (message) {
      const json request = json::parse(message->bytes);
      stopping = stopping || request.at("stop").get<bool>();
      if (const int task = request.at("task"); task != no_task) {
        TaskOutcome outcome{static_cast<TaskStatus>(request.at("status").get<int>()), request.at("message"),
                            request.at("seconds"), message->from};
        stopping = stopping || outcome.status == TaskStatus::not_run;
        if (hooks.finished) hooks.finished(task, outcome);
        for (int skipped : scheduler.end(task, std::move(outcome)))
          if (hooks.finished) hooks.finished(skipped, scheduler.outcomes()[static_cast<std::size_t>(skipped)]);
      }
      waiting.push_back(message->from);
    }
    stopping = stopping || (hooks.stop_requested && hooks.stop_requested());
    std::vector<int> still_waiting;
    for (int rank : waiting) {
      const int task = stopping ? no_task : scheduler.take();
      if (task != no_task) {
        if (hooks.started) hooks.started(task, rank);
        lines.answers->send(rank, json{{"task", task}, {"without", scheduler.failed_inputs(task)}}.dump(),
                            "dispatcher");
      } else if (stopping || scheduler.all_ended()) {
        lines.answers->send(rank, json{{"task", no_task}}.dump(), "dispatcher");
        ++sent_home;
      } else {
        still_waiting.push_back(rank);
      }
    }
    waiting = std::move(still_waiting);
    if (!message) std::this_thread::sleep_for(poll_interval);
  }
  return scheduler.outcomes();
}

/// Every rank's side: asks for a task, runs it, reports it with the next request.
void work(Lines& lines, const DispatchHooks& hooks, const std::atomic<bool>& give_up) {
  const auto stop = [&] { return hooks.stop_requested && hooks.stop_requested(); };
  json request{{"task", no_task}, {"stop", stop()}};
  while (!give_up) {
    // A failure's message may hold any bytes (a file's name), but JSON is UTF-8.
    lines.requests->send(0, request.dump(-1, ' ', false, json::error_handler_t::replace), "asking for a task");
    std::optional<Message> answer;
    while (!(answer = lines.answers->try_receive(0, "waiting for a task")) && !give_up)
      std::this_thread::sleep_for(poll_interval);
    if (give_up) return;
    const json order = json::parse(answer->bytes);
    const int task = order.at("task");
    if (task == no_task) return;
    const TaskOutcome outcome = hooks.execute(task, order.at("without").get<std::vector<int>>());
    request = {{"task", task},
               {"status", static_cast<int>(outcome.status)},
               {"message", outcome.message},
               {"seconds", outcome.seconds},
               {"stop", stop()}};
  }
}

}  // namespace

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
