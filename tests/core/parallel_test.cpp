#include "core/parallel.hpp"

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Blocks = std::multiset<std::pair<std::size_t, std::size_t>>;

Blocks blocks_of(std::size_t n, std::size_t block, int threads) {
  Blocks blocks;
  std::mutex guard;
  parallel_blocks(n, block, threads, [&](std::size_t begin, std::size_t end) {
    const std::lock_guard lock(guard);
    blocks.emplace(begin, end);
  });
  return blocks;
}

TEST(ParallelBlocks, CutsTheSameBlocksForAnyNumberOfThreads) {
  const Blocks expected{{0, 4}, {4, 8}, {8, 10}};
  for (int threads : {-1, 0, 1, 2, 3, 16}) EXPECT_EQ(blocks_of(10, 4, threads), expected) << threads;
  EXPECT_EQ(blocks_of(8, 4, 2), (Blocks{{0, 4}, {4, 8}}));
  EXPECT_EQ(blocks_of(3, 100, 4), (Blocks{{0, 3}}));
  EXPECT_EQ(blocks_of(2, 0, 2), (Blocks{{0, 1}, {1, 2}})) << "a block holds one at least";
  EXPECT_TRUE(blocks_of(0, 4, 4).empty());
}

TEST(ParallelBlocks, UsesItsThreads) {
  std::atomic<int> inside{0}, most{0};
  parallel_blocks(8, 1, 4, [&](std::size_t, std::size_t) {
    const int now = ++inside;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    --inside;
  });
  EXPECT_GE(most, 2);
  EXPECT_LE(most, 4);
}

TEST(ParallelBlocks, RethrowsAfterAllThreadsHaveEnded) {
  for (int threads : {1, 4}) {
    std::atomic<int> running{0};
    try {
      parallel_blocks(1000, 1, threads, [&](std::size_t begin, std::size_t) {
        ++running;
        if (begin == 3) {
          --running;
          throw std::runtime_error("block 3");
        }
        --running;
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "block 3");
    }
    EXPECT_EQ(running, 0);
  }
}

TEST(UsableCores, IsOneAtLeastAndNoMoreThanTheMachineHas) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

}  // namespace
}  // namespace perfpipe
