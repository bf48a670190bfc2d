#include "cluster/dispatcher.hpp"

#include "core/random.hpp"
#include "tests/cluster/world.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

using Ints = std::vector<int>;

/// What rank 0's hooks saw, in order, and what every rank ran.
struct Record {
  std::vector<std::pair<char, int>> events;  ///< ('s', task) started, ('f', task) finished
  std::vector<std::pair<int, Ints>> ran;     ///< task and its failed inputs, on this rank

  std::size_t place(char kind, int task) const {
    const auto found = std::find(events.begin(), events.end(), std::pair(kind, task));
    return static_cast<std::size_t>(found - events.begin());
  }
};

struct Run {
  std::vector<TaskOutcome> outcomes;
  Record record;
};

using Execute = std::function<TaskOutcome(int, const Ints&)>;

TaskOutcome done() { return {TaskStatus::done, "", 0.0, world().rank()}; }
TaskOutcome failed(const std::string& why) { return {TaskStatus::failed, why, 0.0, world().rank()}; }

Run run(const std::vector<GraphTask>& graph, const Execute& execute, const std::function<bool()>& stop = nullptr) {
  Run result;
  DispatchHooks hooks;
  hooks.execute = [&](int task, const Ints& without, Communicator*) {
    result.record.ran.emplace_back(task, without);
    return execute(task, without);
  };
  hooks.started = [&](int task, int) { result.record.events.emplace_back('s', task); };
  hooks.finished = [&](int task, const TaskOutcome&) { result.record.events.emplace_back('f', task); };
  hooks.stop_requested = stop;
  result.outcomes = run_graph(world(), graph, hooks);
  return result;
}

/// On rank 0: what all ranks ran, by task.
std::vector<std::pair<int, Ints>> all_runs(const Record& record) {
  std::vector<std::pair<int, Ints>> runs;
  for (const auto& part : world().gather(nlohmann::json(record.ran).dump(), 0, "test"))
    for (const auto& one : nlohmann::json::parse(part)) runs.emplace_back(one.at(0), one.at(1).get<Ints>());
  std::sort(runs.begin(), runs.end());
  return runs;
}

GraphTask task(double cost, Ints inputs = {}, bool accepts_failed_inputs = false) {
  GraphTask t;
  t.cost = cost;
  t.inputs = std::move(inputs);
  t.accepts_failed_inputs = accepts_failed_inputs;
  return t;
}

/// Tasks that a rank runs at once: two inputs, and seven that read one or both of them.
TEST(Ranks, TasksOfAKindAreHandedOutTogetherWhenAllAreReady) {
  std::vector<GraphTask> graph(9);
  for (std::size_t i = 2; i < graph.size(); ++i) {
    graph[i].inputs = i % 2 == 0 ? Ints{0} : Ints{0, 1};
    graph[i].kind = 1;
    graph[i].together = 64;
  }
  std::vector<Ints> batches;
  DispatchHooks hooks;
  hooks.execute = [&](int task, const Ints& without, Communicator*) {
    EXPECT_TRUE(without.empty());
    if (task == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the others wait for it
    batches.push_back({task});
    return task == 4 ? failed("no reason") : done();
  };
  hooks.execute_together = [&](const Ints& tasks, const std::vector<Ints>& without) {
    EXPECT_EQ(without.size(), tasks.size());
    batches.push_back(tasks);
    std::vector<TaskOutcome> outcomes;
    for (const int task : tasks) outcomes.push_back(task == 4 ? failed("no reason") : done());
    return outcomes;
  };
  const auto outcomes = run_graph(world(), graph, hooks);
  std::map<int, int> runs;
  std::size_t largest = 0;
  for (const auto& part : world().gather(nlohmann::json(batches).dump(), 0, "test"))
    for (const auto& batch : nlohmann::json::parse(part).get<std::vector<Ints>>()) {
      for (const int task : batch) ++runs[task];
      largest = std::max(largest, batch.size());
    }
  if (world().rank() != 0) return;
  EXPECT_EQ(runs.size(), graph.size());
  for (const auto& [task, times] : runs) EXPECT_EQ(times, 1) << task;
  const auto ranks = static_cast<std::size_t>(world().size());
  EXPECT_EQ(largest, (7 + ranks - 1) / ranks) << "an even share for each rank";
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    EXPECT_EQ(outcomes[i].status, i == 4 ? TaskStatus::failed : TaskStatus::done) << i;
}

TEST(Dispatcher, SharesTheLastTasksAmongTheRanks) {
  // As many ranks as there are, up to four, compute one task together; all of them see one group.
  GraphTask shared = task(1);
  shared.max_ranks = 4;
  int size = 0;
  std::int64_t sum = -1;
  DispatchHooks hooks;
  hooks.execute = [&](int, const Ints&, Communicator* group) {
    size = group == nullptr ? 1 : group->size();
    std::array<std::int64_t, 1> one{1};
    if (group != nullptr) group->allreduce_sum(one, "test");
    sum = one[0];
    return done();
  };
  const auto outcomes = run_graph(world(), {shared}, hooks);
  if (world().rank() == 0) {
    ASSERT_EQ(outcomes.size(), 1u);
    EXPECT_EQ(outcomes[0].status, TaskStatus::done);
  }
  if (size > 0) {
    EXPECT_EQ(sum, size);
  }
  std::array<std::int64_t, 1> took_part{size > 0};
  world().allreduce_sum(took_part, "test");
  EXPECT_EQ(took_part[0], std::min(world().size(), 4));
  if (size > 0) {
    EXPECT_EQ(took_part[0], size);
  }
}

TEST(Dispatcher, WaitsForRanksInShortTasksToShareALongOne) {
  // A short task for each rank, of different lengths; the long one is ready after the first of them.
  const int ranks = world().size();
  std::vector<GraphTask> graph(static_cast<std::size_t>(ranks), task(0.1));
  GraphTask shared = task(10, {0});
  shared.max_ranks = 4;
  graph.push_back(shared);
  int size = 0;
  DispatchHooks hooks;
  hooks.execute = [&](int which, const Ints&, Communicator* group) {
    if (which == ranks)
      size = group == nullptr ? 1 : group->size();
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(10 * which));
    return done();
  };
  run_graph(world(), graph, hooks);
  std::array<std::int64_t, 1> took_part{size > 0};
  world().allreduce_sum(took_part, "test");
  EXPECT_EQ(took_part[0], std::min(ranks, 4));
}

TEST(Dispatcher, RunsEveryTaskOnceAndAfterItsInputs) {
  Random random(1, "graph");
  std::vector<GraphTask> graph;
  for (int i = 0; i < 200; ++i) {
    std::set<int> inputs;
    for (int k = 0; i > 0 && k < 3; ++k) inputs.insert(static_cast<int>(random.below(static_cast<std::uint64_t>(i))));
    if (random.below(4) == 0) inputs.clear();
    graph.push_back(task(random.uniform(), {inputs.begin(), inputs.end()}));
  }
  const auto result = run(graph, [](int, const Ints&) { return done(); });
  const auto runs = all_runs(result.record);
  if (world().rank() != 0) {
    EXPECT_TRUE(result.outcomes.empty());
    return;
  }
  ASSERT_EQ(runs.size(), graph.size());
  ASSERT_EQ(result.outcomes.size(), graph.size());
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(runs[static_cast<std::size_t>(i)], std::pair(i, Ints{}));
    const auto& outcome = result.outcomes[static_cast<std::size_t>(i)];
    EXPECT_EQ(outcome.status, TaskStatus::done);
    EXPECT_GE(outcome.rank, 0);
    EXPECT_LT(outcome.rank, world().size());
    for (int input : graph[static_cast<std::size_t>(i)].inputs)
      EXPECT_LT(result.record.place('f', input), result.record.place('s', i)) << i << " reads " << input;
  }
}

TEST(Dispatcher, StartsTheLongestChainFirst) {
  // 0 -> 5 -> 6 is the longest chain although 0 itself is cheap; of equals (3, 4) the first.
  const std::vector<GraphTask> graph{task(1), task(5), task(6), task(2), task(2), task(4, {0}), task(9, {5})};
  const auto result = run(graph, [](int, const Ints&) { return done(); });
  if (world().rank() != 0) return;
  std::vector<int> started;
  for (const auto& [kind, which] : result.record.events)
    if (kind == 's') started.push_back(which);
  if (world().size() == 1) {
    EXPECT_EQ(started, (Ints{0, 5, 6, 2, 1, 3, 4}));
  }
  EXPECT_EQ(started[0], 0);
  EXPECT_LT(result.record.place('s', 2), result.record.place('s', 1));
  EXPECT_LT(result.record.place('s', 1), result.record.place('s', 3));
  EXPECT_LT(result.record.place('s', 3), result.record.place('s', 4));
}

TEST(Dispatcher, AllRanksWorkAtOnceRankZeroToo) {
  // Every task waits until as many are running as there are ranks.
  const auto notes = world().split(0, "test");
  const int ranks = world().size();
  const auto result = run(std::vector<GraphTask>(static_cast<std::size_t>(ranks)), [&](int, const Ints&) {
    for (int to = 0; to < ranks; ++to) notes->send(to, "here", "test");
    std::set<int> here;
    while (static_cast<int>(here.size()) < ranks) here.insert(receive(*notes, any_rank).from);
    return done();
  });
  EXPECT_EQ(result.record.ran.size(), 1u);
  std::set<int> used;
  for (const auto& outcome : result.outcomes) used.insert(outcome.rank);
  if (world().rank() == 0) {
    EXPECT_EQ(static_cast<int>(used.size()), ranks);
  }
}

TEST(Dispatcher, StagesHaveNoBarrier) {
  // Of the first stage 0 is slow and 1 is not; 2 is of the second stage and needs 1 alone. Task 0 ends when 2 has run.
  if (world().size() == 1) {
    const auto order = run({task(9), task(1), task(1, {1})}, [](int, const Ints&) { return done(); });
    EXPECT_EQ(order.record.ran.size(), 3u);
    return;
  }
  const auto notes = world().split(0, "test");
  const auto result = run({task(9), task(1), task(1, {1})}, [&](int which, const Ints&) {
    if (which == 0) receive(*notes, any_rank);
    if (which == 2)
      for (int to = 0; to < world().size(); ++to) notes->send(to, "the second stage ran", "test");
    return done();
  });
  world().barrier("test");
  while (notes->try_receive(any_rank, "test")) {
  }
  if (world().rank() == 0) {
    // Not the order in which both ended: they end together, on two ranks.
    EXPECT_LT(result.record.place('s', 2), result.record.place('f', 0));
  }
}

TEST(Dispatcher, AFailureSkipsWhatNeedsItAndNothingElse) {
  // 1 fails: 3 and behind it 5 cannot run; 4 and 6 make do with what is there; 7 reads nothing that worked.
  const std::vector<GraphTask> graph{task(1),
                                     task(1),
                                     task(1),
                                     task(1, {0, 1}),
                                     task(1, {0, 1}, true),
                                     task(1, {3}),
                                     task(1, {2, 3, 4}, true),
                                     task(1, {1, 3}, true)};
  const auto result = run(graph, [](int which, const Ints&) { return which == 1 ? failed("it diverged") : done(); });
  const auto runs = all_runs(result.record);
  if (world().rank() != 0) return;
  const std::vector<std::pair<int, Ints>> expected{{0, {}}, {1, {}}, {2, {}}, {4, {1}}, {6, {3}}};
  EXPECT_EQ(runs, expected);
  std::string statuses;
  for (const auto& outcome : result.outcomes) statuses += "dfsn"[static_cast<int>(outcome.status)];
  EXPECT_EQ(statuses, "dfdsdsds");
  EXPECT_EQ(result.outcomes[1].message, "it diverged");
  EXPECT_EQ(result.outcomes[5].message, "its inputs failed");
  for (int which = 0; which < 8; ++which)
    EXPECT_LT(result.record.place('f', which), result.record.events.size()) << "every end is told, once";
  EXPECT_EQ(
      std::count_if(result.record.events.begin(), result.record.events.end(), [](auto e) { return e.first == 'f'; }),
      8);
}

TEST(Dispatcher, WhatIsDoneIsNotRunAgain) {
  std::vector<GraphTask> graph{task(1), task(1, {0}), task(1, {1})};
  graph[0].done = graph[1].done = true;
  auto result = run(graph, [](int, const Ints&) { return done(); });
  auto runs = all_runs(result.record);
  if (world().rank() == 0) {
    EXPECT_EQ(runs, (std::vector<std::pair<int, Ints>>{{2, {}}}));
    EXPECT_EQ(result.outcomes[0].status, TaskStatus::done);
  }
  graph[2].done = true;
  result = run(graph, [](int, const Ints&) { return failed("never called"); });
  EXPECT_TRUE(result.record.ran.empty());
  EXPECT_TRUE(run({}, [](int, const Ints&) { return done(); }).outcomes.empty());
}

TEST(Dispatcher, AStopLeavesTheRestNotRun) {
  std::atomic<bool> stop{false};
  std::vector<GraphTask> graph(100);
  for (int i = 1; i < 100; ++i) graph[static_cast<std::size_t>(i)].inputs = {i - 1};  // a chain: one at a time
  const auto result = run(
      graph,
      [&](int which, const Ints&) {
        if (which == 10) stop = true;  // on whichever rank: that one says so with its report
        return done();
      },
      [&] { return stop.load(); });
  if (world().rank() != 0) return;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(result.outcomes[static_cast<std::size_t>(i)].status, i <= 10 ? TaskStatus::done : TaskStatus::not_run)
        << i;
}

TEST(Dispatcher, AStopBeforeTheFirstTaskRunsNone) {
  const auto result = run(
      std::vector<GraphTask>(20), [](int, const Ints&) { return done(); }, [] { return true; });
  EXPECT_TRUE(result.record.ran.empty());
  for (const auto& outcome : result.outcomes) EXPECT_EQ(outcome.status, TaskStatus::not_run);
}

TEST(Dispatcher, ATaskThatGivesUpForAStopHasNotFailed) {
  // 0 was stopped: 1 and 2 behind it have not run, and are not told as skipped for a failed input.
  const std::vector<GraphTask> graph{task(1), task(1, {0}), task(1, {0, 3}, true), task(5)};
  const auto result = run(graph, [](int which, const Ints&) {
    return which == 0 ? TaskOutcome{TaskStatus::not_run, "stopped", 0.0, world().rank()} : done();
  });
  if (world().rank() != 0) return;
  for (std::size_t which : {0u, 1u, 2u}) EXPECT_EQ(result.outcomes[which].status, TaskStatus::not_run) << which;
  EXPECT_EQ(result.outcomes[3].status, TaskStatus::done);
  EXPECT_EQ(result.record.place('f', 1), result.record.events.size());
}

TEST(Dispatcher, LongAndStrangeMessagesArrive) {
  // Longer than what MPI sends without a partner, to rank 0 itself, too; and bytes that are not UTF-8.
  const std::string words(400'000, 'x');
  const auto result = run(std::vector<GraphTask>(8),
                          [&](int which, const Ints&) { return failed(which % 2 == 0 ? words : "caf\xe9.nii"); });
  for (std::size_t i = 0; i < result.outcomes.size(); ++i)
    EXPECT_EQ(result.outcomes[i].message, i % 2 == 0 ? words : "caf\xef\xbf\xbd.nii");
}

TEST(Dispatcher, AnExceptionOfATaskIsTheCallers) {
  if (world().size() > 1) return;  // ends all ranks there: see last_words_test.cpp
  EXPECT_THROW(run({task(1)}, [](int, const Ints&) -> TaskOutcome { throw InputError("broken"); }), InputError);
}

}  // namespace
}  // namespace perfpipe
