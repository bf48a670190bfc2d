#include "core/communicator.hpp"

#include "tests/cluster/world.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <thread>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::string word_of(int rank) { return std::string(static_cast<std::size_t>(3 * rank), static_cast<char>('a' + rank)); }

TEST(Communicator, EachRankHasItsNumber) {
  EXPECT_GE(world().rank(), 0);
  EXPECT_LT(world().rank(), world().size());
  world().barrier("test");
}

TEST(Communicator, BroadcastsTheBytesOfAnyRank) {
  for (int root = 0; root < world().size(); ++root) {
    const std::string mine = word_of(world().rank());
    EXPECT_EQ(world().broadcast(mine, root, "test"), word_of(root)) << "root " << root;
  }
  const std::string zeros("a\0\0b", 4);
  EXPECT_EQ(world().broadcast(world().rank() == 0 ? zeros : "something longer", 0, "test"), zeros);
  const std::string large(5'000'000, 'x');
  EXPECT_EQ(world().broadcast(world().rank() == 0 ? large : "", 0, "test"), large);
  EXPECT_EQ(world().broadcast(world().rank() == 0 ? "" : "not empty", 0, "test"), "");
}

TEST(Communicator, GathersTheBytesOfAllRanksInOrder) {
  for (int root = 0; root < world().size(); ++root) {
    const auto parts = world().gather(word_of(world().rank()), root, "test");
    if (world().rank() != root) {
      EXPECT_TRUE(parts.empty());
      continue;
    }
    ASSERT_EQ(parts.size(), static_cast<std::size_t>(world().size()));
    for (int rank = 0; rank < world().size(); ++rank) EXPECT_EQ(parts[static_cast<std::size_t>(rank)], word_of(rank));
  }
}

TEST(Communicator, SumsIntegersExactly) {
  const std::int64_t n = world().size(), rank = world().rank();
  std::vector<std::int64_t> values{1, rank, -rank * 1'000'000'007, INT64_MAX / n - 3};
  world().allreduce_sum(values, "test");
  const std::int64_t ranks = n * (n - 1) / 2;
  EXPECT_EQ(values, (std::vector<std::int64_t>{n, ranks, -ranks * 1'000'000'007, n * (INT64_MAX / n - 3)}));
  std::vector<std::int64_t> none;
  world().allreduce_sum(none, "test");
}

TEST(Communicator, FindsTheMaximum) {
  const double rank = world().rank(), last = world().size() - 1;
  std::vector<double> values{rank, -rank, -INFINITY, rank == last ? 1e300 : -1e300};
  world().allreduce_max(values, "test");
  EXPECT_EQ(values, (std::vector<double>{last, 0.0, -INFINITY, 1e300}));
}

TEST(Communicator, SplitsIntoGroupsInTheOrderOfTheRanks) {
  const int colour = world().rank() % 3;
  const auto group = world().split(colour, "test");
  const int members = (world().size() - colour + 2) / 3;
  ASSERT_EQ(group->size(), members);
  EXPECT_EQ(group->rank(), world().rank() / 3);
  std::vector<std::int64_t> sum{world().rank()};
  group->allreduce_sum(sum, "test");
  std::int64_t expected = 0;
  for (int rank = colour; rank < world().size(); rank += 3) expected += rank;
  EXPECT_EQ(sum[0], expected);
  const auto inner = group->split(group->rank(), "test");
  EXPECT_EQ(inner->size(), 1);
  EXPECT_EQ(inner->broadcast("alone", 0, "test"), "alone");
}

TEST(Communicator, MessagesGoAroundARing) {
  const int n = world().size(), next = (world().rank() + 1) % n, before = (world().rank() + n - 1) % n;
  const auto line = world().split(0, "test");
  for (const std::string& text : {std::string("hello"), std::string(), std::string("a\0b", 3)}) {
    line->send(next, text + std::to_string(world().rank()), "test");
    const Message message = receive(*line, before);
    EXPECT_EQ(message.from, before);
    EXPECT_EQ(message.bytes, text + std::to_string(before));
  }
  EXPECT_FALSE(line->try_receive(any_rank, "test")) << "nothing is left";
}

TEST(Communicator, ARankMayWriteToItself) {
  const auto line = world().split(0, "test");
  line->send(world().rank(), "to myself", "test");
  line->send(world().rank(), "again", "test");
  EXPECT_EQ(receive(*line, world().rank()).bytes, "to myself") << "in order";
  EXPECT_EQ(receive(*line, any_rank).bytes, "again");
}

TEST(Communicator, MessagesOfOneRankKeepTheirOrderAndOthersWait) {
  const auto line = world().split(0, "test");
  for (int i = 0; i < 50; ++i) line->send(0, std::to_string(i), "test");
  if (world().rank() == 0) {
    for (int from = world().size() - 1; from > 0; --from)  // those of rank 1 wait all the while
      for (int i = 0; i < 50; ++i) EXPECT_EQ(receive(*line, from).bytes, std::to_string(i));
    for (int i = 0; i < 50; ++i) EXPECT_EQ(receive(*line, any_rank).bytes, std::to_string(i));
  }
  world().barrier("test");
}

TEST(Communicator, GroupsDoNotHearEachOther) {
  const auto first = world().split(0, "test"), second = world().split(0, "test");
  first->send(world().rank(), "first", "test");
  EXPECT_FALSE(second->try_receive(any_rank, "test"));
  second->send(world().rank(), "second", "test");
  EXPECT_EQ(receive(*second, any_rank).bytes, "second");
  EXPECT_EQ(receive(*first, any_rank).bytes, "first");
}

TEST(Communicator, SeveralThreadsSendAndReceiveAtOnce) {
  constexpr int messages = 200;
  const auto line = world().split(0, "test");
  const auto send = [&](int thread) {
    for (int i = 0; i < messages; ++i) line->send(0, std::to_string(1000 * thread + i), "test");
  };
  std::vector<Message> received[2];
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) threads.emplace_back(send, t);
    if (world().rank() == 0)
      for (auto& mine : received)
        threads.emplace_back([&] {
          for (int i = 0; i < messages * world().size(); ++i) mine.push_back(receive(*line, any_rank));
        });
  }
  if (world().rank() == 0) {
    std::map<std::pair<int, std::string>, int> counts;
    for (const auto& mine : received)
      for (const auto& message : mine) ++counts[{message.from, message.bytes}];
    EXPECT_EQ(counts.size(), static_cast<std::size_t>(2 * messages * world().size()));
    for (const auto& [message, count] : counts) EXPECT_EQ(count, 1);
  }
  world().barrier("test");
}

TEST(Communicator, ErrorsNameTheirPurpose) {
  const auto failure = [](const auto& work) -> std::string {
    try {
      work();
    } catch (const DeviceError& error) {
      return error.what();
    }
    return "no failure";
  };
  const int nobody = world().size();
  EXPECT_EQ(failure([&] { world().send(nobody, "x", "asking for a task"); }).find("asking for a task: "), 0u);
  EXPECT_EQ(failure([&] { world().broadcast("x", nobody, "the job file"); }).find("the job file: "), 0u);
  EXPECT_EQ(failure([&] { world().gather("x", nobody, "checks"); }).find("checks: "), 0u);
}

}  // namespace
}  // namespace perfpipe
