// What ranks are given, without ranks.
#include "cluster/scheduler.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Ints = std::vector<int>;

GraphTask task(double cost, Ints inputs = {}) {
  GraphTask t;
  t.cost = cost;
  t.inputs = std::move(inputs);
  return t;
}

TEST(ChainCosts, AreThatOfATaskAndOfTheCostliestBehindIt) {
  std::vector<GraphTask> graph{task(1), task(2), task(4, {0}), task(8, {0, 1}), task(16, {2}), task(3)};
  EXPECT_EQ(chain_costs(graph), (std::vector<double>{21, 10, 20, 8, 16, 3}));
  graph[2].done = true;
  EXPECT_EQ(chain_costs(graph), (std::vector<double>{17, 10, 16, 8, 16, 3})) << "what is done costs nothing";
}

TEST(RanksToShare, AreAPowerOfTwoForEachPendingTask) {
  EXPECT_EQ(ranks_to_share(4, 44, 8, 0), 1) << "more tasks than ranks: one each";
  EXPECT_EQ(ranks_to_share(4, 4, 8, 0), 2);
  EXPECT_EQ(ranks_to_share(4, 3, 8, 0), 2);
  EXPECT_EQ(ranks_to_share(4, 1, 8, 0), 4) << "no more than may share it";
  EXPECT_EQ(ranks_to_share(4, 1, 3, 0), 2);
  EXPECT_EQ(ranks_to_share(4, 1, 1, 0), 1);
}

TEST(RanksToShare, WaitsForRanksThatWillSoonBeFree) {
  EXPECT_EQ(ranks_to_share(4, 4, 1, 7), 0);
  EXPECT_EQ(ranks_to_share(4, 4, 2, 6), 2) << "enough are here";
  EXPECT_EQ(ranks_to_share(4, 8, 1, 7), 1) << "one each, however long one waits";
}

/// Networks on GPUs: a rank had better take several at once, and ranks may share one.
std::vector<GraphTask> networks(int count) {
  std::vector<GraphTask> graph(static_cast<std::size_t>(count), task(20));
  for (auto& one : graph) {
    one.together = 64;
    one.max_ranks = 4;
  }
  return graph;
}

/// What `ranks` ranks that all wait are given: tasks and how many ranks.
std::vector<std::pair<Ints, int>> given(const std::vector<GraphTask>& graph, int ranks) {
  Scheduler scheduler(graph);
  Crew crew(ranks);
  for (int rank = 0; rank < ranks; ++rank) crew.came_back(rank, no_task);
  std::vector<std::pair<Ints, int>> all;
  for (const auto& order : next_orders(scheduler, crew))
    all.emplace_back(order.tasks, static_cast<int>(order.ranks.size()));
  return all;
}

using Given = std::vector<std::pair<Ints, int>>;

TEST(Orders, NetworksOnGpusGoTogetherWhereThereAreMoreThanRanks) {
  EXPECT_EQ(given(networks(3), 1), (Given{{{0, 1, 2}, 1}}));
  EXPECT_EQ(given(networks(5), 2), (Given{{{0, 1, 2}, 1}, {{3, 4}, 1}}));
  EXPECT_EQ(given(networks(4), 4), (Given{{{0}, 1}, {{1}, 1}, {{2}, 1}, {{3}, 1}}));
}

TEST(Orders, RanksShareNetworksWhereThereAreFewer) {
  EXPECT_EQ(given(networks(1), 4), (Given{{{0}, 4}}));
  EXPECT_EQ(given(networks(1), 3), (Given{{{0}, 2}}));
  EXPECT_EQ(given(networks(2), 4), (Given{{{0}, 2}, {{1}, 2}}));
  EXPECT_EQ(given(networks(3), 4), (Given{{{0}, 1}, {{1}, 1}, {{2}, 2}}));
  EXPECT_EQ(given(networks(2), 8), (Given{{{0}, 4}, {{1}, 4}}));
}

TEST(Orders, NeighboursShareANetwork) {
  const auto graph = networks(2);
  Scheduler scheduler(graph);
  Crew crew(4);
  for (const int rank : {2, 0, 3, 1}) crew.came_back(rank, no_task);
  std::vector<Ints> groups;
  for (const auto& order : next_orders(scheduler, crew)) groups.push_back(order.ranks);
  EXPECT_EQ(groups, (std::vector<Ints>{{0, 1}, {2, 3}}));
}

TEST(Orders, RanksThatShareAGpuDoNotShareANetwork) {
  auto graph = networks(1);
  graph[0].max_ranks = 1;
  EXPECT_EQ(given(graph, 4), (Given{{{0}, 1}}));
}

TEST(Orders, AFewNetworksWaitForTheRanksThatAreToShareThem) {
  const auto graph = networks(1);
  Scheduler scheduler(graph);
  Crew crew(2);
  crew.came_back(1, no_task);
  EXPECT_TRUE(next_orders(scheduler, crew).empty()) << "rank 0 will ask in a moment";
  crew.came_back(0, no_task);
  const auto orders = next_orders(scheduler, crew);
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].ranks, (Ints{0, 1}));
  EXPECT_TRUE(crew.waiting.empty());
}

TEST(Orders, OtherTasksStartWhileNetworksWaitForEachOther) {
  auto graph = networks(3);
  graph[2].inputs = {};
  graph.insert(graph.begin(), {task(1), task(1)});  // the last network needs the second of these
  graph[4].inputs = {1};
  for (std::size_t i = 2; i < 5; ++i) graph[i].kind = 1;
  EXPECT_EQ(given(graph, 1), (Given{{{1}, 1}}));
  EXPECT_EQ(given(graph, 3), (Given{{{1}, 1}, {{0}, 1}}));
}

}  // namespace
}  // namespace perfpipe
