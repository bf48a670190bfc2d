#include "pipeline/threads_of_rank.hpp"

#include "cluster/serial_communicator.hpp"
#include "core/parallel.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Cores = std::vector<std::vector<std::string>>;

std::vector<std::string> host(const std::string& name, int first, int count) {
  std::vector<std::string> cores;
  for (int i = first; i < first + count; ++i) cores.push_back(name + "/" + std::to_string(i));
  return cores;
}

std::vector<int> shares(const Cores& cores) {
  std::vector<int> all;
  for (std::size_t rank = 0; rank < cores.size(); ++rank) all.push_back(share_of_cores(cores, static_cast<int>(rank)));
  return all;
}

TEST(ShareOfCores, ALoneRankHasThemAll) { EXPECT_EQ(shares({host("a", 0, 8)}), std::vector<int>{8}); }

TEST(ShareOfCores, BoundRanksUseWhatTheyAreBoundTo) {
  EXPECT_EQ(shares({host("a", 0, 4), host("a", 4, 4)}), (std::vector<int>{4, 4}));
  EXPECT_EQ(shares({host("a", 0, 1), host("a", 1, 7)}), (std::vector<int>{1, 7}));
}

TEST(ShareOfCores, UnboundRanksShareTheirHost) {
  EXPECT_EQ(shares({host("a", 0, 8), host("a", 0, 8)}), (std::vector<int>{4, 4}));
  EXPECT_EQ(shares({host("a", 0, 8), host("a", 0, 8), host("a", 0, 8)}), (std::vector<int>{2, 2, 2}));
}

TEST(ShareOfCores, HostsDoNotShare) { EXPECT_EQ(shares({host("a", 0, 8), host("b", 0, 8)}), (std::vector<int>{8, 8})); }

TEST(ShareOfCores, MoreRanksThanCoresHaveOneEach) {
  EXPECT_EQ(shares(Cores(5, host("a", 0, 2))), (std::vector<int>{1, 1, 1, 1, 1}));
  EXPECT_EQ(shares({{}}), std::vector<int>{1}) << "where the cores are not known";
}

TEST(ShareOfCores, ThirdsAddUp) { EXPECT_EQ(shares(Cores(3, host("a", 0, 9))), (std::vector<int>{3, 3, 3})); }

TEST(ThreadsOfThisRank, AreTheUsableCoresOfALoneOne) {
  EXPECT_EQ(threads_of_this_rank(*make_serial_communicator()), usable_cores());
}

}  // namespace
}  // namespace perfpipe
