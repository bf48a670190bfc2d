#include "cluster/dispatcher.hpp"

#include "cluster/scheduler.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

using nlohmann::json;
constexpr auto poll_interval = std::chrono::microseconds(500);

/// Requests travel on one communicator and answers on another, so that rank 0 can be its own customer.
struct Lines {
  explicit Lines(Communicator& parent)
      : requests(parent.split(0, "dispatcher requests")), answers(parent.split(0, "dispatcher answers")) {}
  std::unique_ptr<Communicator> requests;
  std::unique_ptr<Communicator> answers;
};

/// Tells ranks what they are to run.
void send(const Order& order, Lines& lines, const Scheduler& scheduler, const DispatchHooks& hooks) {
  json without = json::array();
  for (const int task : order.tasks) {
    if (hooks.started) hooks.started(task, order.ranks.front());
    without.push_back(scheduler.failed_inputs(task));
  }
  const std::string words = json{{"tasks", order.tasks}, {"without", without}, {"ranks", order.ranks}}.dump();
  for (const int rank : order.ranks) lines.answers->send(rank, words, "dispatcher");
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
      for (const auto& order : next_orders(scheduler, crew)) send(order, lines, scheduler, hooks);
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
