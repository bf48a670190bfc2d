#include "core/slabs.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

class Slabs : public testing::TestWithParam<int> {};

TEST_P(Slabs, EachIsReadOnceAndWorkedOnInOrder) {
  std::vector<std::int64_t> read, worked;
  std::atomic<int> reading{0};
  for_each_slab(
      10, 4, GetParam(),
      [&](std::int64_t first, std::int64_t count) {
        EXPECT_EQ(++reading, 1) << "two are read at once";
        read.push_back(first);
        --reading;
        return std::vector<std::int64_t>(static_cast<std::size_t>(count), first);
      },
      [&](std::int64_t first, std::int64_t count, const std::vector<std::int64_t>& slab) {
        EXPECT_EQ(slab, std::vector<std::int64_t>(static_cast<std::size_t>(count), first));
        worked.push_back(first);
        worked.push_back(count);
      });
  EXPECT_EQ(read, (std::vector<std::int64_t>{0, 4, 8}));
  EXPECT_EQ(worked, (std::vector<std::int64_t>{0, 4, 4, 4, 8, 2}));
}

TEST_P(Slabs, ErrorsOfEitherSideComeOut) {
  const auto number = [](std::int64_t first, std::int64_t) { return first; };
  EXPECT_THROW(for_each_slab(
                   9, 3, GetParam(),
                   [](std::int64_t first, std::int64_t) {
                     if (first == 6) throw std::runtime_error("unreadable");
                     return 0;
                   },
                   [](std::int64_t, std::int64_t, int) {}),
               std::runtime_error);
  EXPECT_THROW(for_each_slab(9, 3, GetParam(), number,
                             [](std::int64_t first, std::int64_t, std::int64_t) {
                               if (first == 3) throw std::logic_error("no work");
                             }),
               std::logic_error);
}

TEST(ReadAhead, WithTwoThreadsTheNextIsReadDuringWork) {
  std::atomic<std::int64_t> last_read{-1};
  bool ahead = false;
  for_each_slab(
      2, 1, 2,
      [&](std::int64_t first, std::int64_t) {
        last_read = first;
        return first;
      },
      [&](std::int64_t first, std::int64_t, std::int64_t) {
        for (int i = 0; first == 0 && last_read < 1 && i < 5000; ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ahead = ahead || (first == 0 && last_read == 1);
      });
  EXPECT_TRUE(ahead);
}

INSTANTIATE_TEST_SUITE_P(Threads, Slabs, testing::Values(1, 2));

}  // namespace
}  // namespace perfpipe
