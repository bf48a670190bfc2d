#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <new>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Block = std::unique_ptr<unsigned char[]>;
constexpr std::size_t mebibyte = std::size_t{1} << 20;

Block filled(std::size_t bytes, unsigned char value) {
  Block block(new unsigned char[bytes]);
  std::memset(block.get(), value, bytes);
  return block;
}

/// Memory of this process that is in use, in MiB.
std::size_t resident() {
  std::size_t all = 0, pages = 0;
  std::ifstream("/proc/self/statm") >> all >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / mebibyte;
}

/// What holds of our blocks alone: under the address sanitizer memory is its own.
class OwnLargeBlocks : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the address sanitizer has memory of its own";
#endif
  }
};

TEST_F(OwnLargeBlocks, ThatWereDroppedLeaveNoHolesBehind) {
  // As a volume is worked through: two slabs at a time, and small things that stay between them. The first block makes
  // malloc take those of its size from the heap, where this held 300 MiB in the end.
  filled(28 * mebibyte, 0);
  const std::size_t before = resident();
  std::vector<Block> small;
  std::deque<Block> slabs;
  for (int round = 0; round < 20; ++round) {
    slabs.push_back(filled(18 * mebibyte + 1000, 1));
    for (int i = 0; i < 10; ++i) small.push_back(filled(20000, 2));
    if (slabs.size() > 2) slabs.pop_front();
  }
  EXPECT_LE(resident(), before + 3 * 20 + 20) << "three slabs and the small things";
}

TEST_F(OwnLargeBlocks, AreUsedAgainForOnesOfAboutTheirSize) {
  auto block = filled(40 * mebibyte, 1);
  const auto place = reinterpret_cast<std::uintptr_t>(block.get());
  EXPECT_EQ(place % (2 * mebibyte), 0u);
  block.reset();
  block = filled(36 * mebibyte, 2);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.get()), place);
}

TEST_F(OwnLargeBlocks, AreGivenBackBeforeOthersAreAskedFor) {
  auto block = filled(200 * mebibyte, 1);
  const std::size_t with = resident();
  block.reset();
  EXPECT_GT(resident() + 50, with) << "kept";
  block.reset(new unsigned char[250 * mebibyte]);
  EXPECT_LT(resident() + 150, with);
}

TEST(LargeBlocks, AreWhole) {
  std::vector<std::pair<Block, std::size_t>> blocks;
  for (std::size_t i = 0; i < 60; ++i) {
    const std::size_t bytes = (1 + i * 7 % 29) * mebibyte - i;
    blocks.emplace_back(filled(bytes, static_cast<unsigned char>(i)), bytes);
    const auto value = static_cast<unsigned char>(i >= 3 ? i - 3 : 0);
    if (i < 3) continue;
    const auto& [block, size] = blocks[i - 3];
    ASSERT_EQ(std::count(block.get(), block.get() + size, value), static_cast<std::ptrdiff_t>(size)) << size;
    blocks[i - 3].first.reset();
  }
}

TEST(LargeBlocks, AreNotTakenForSmallOnes) {
  // Small blocks over several multiples of 2 MiB: whatever lies on one must not be dropped as a large block.
  std::vector<Block> small;
  for (std::size_t i = 0; i < 300000; ++i) small.push_back(filled(16 + i % 5 * 16, static_cast<unsigned char>(i)));
  for (std::size_t i = 0; i < small.size(); i += 2) small[i].reset();
  const auto slab = filled(10 * mebibyte, 7);
  for (std::size_t i = 1; i < small.size(); i += 2) ASSERT_EQ(small[i][15], static_cast<unsigned char>(i));
}

TEST(LargeBlocks, MayBeDroppedByAnotherThread) {
  std::vector<std::thread> threads;
  std::vector<Block> left(4);
  for (std::size_t t = 0; t < left.size(); ++t)
    threads.emplace_back([&left, t] {
      for (int round = 0; round < 20; ++round) left[t] = filled(9 * mebibyte, static_cast<unsigned char>(t));
    });
  for (auto& thread : threads) thread.join();
  for (std::size_t t = 0; t < left.size(); ++t) EXPECT_EQ(left[t][9 * mebibyte - 1], t);
  left.clear();
}

TEST_F(OwnLargeBlocks, ThatCannotBeHadAreAnError) {
  EXPECT_THROW(operator delete(operator new (std::size_t{1} << 62)), std::bad_alloc);
  EXPECT_THROW(operator delete(operator new (~std::size_t{0})), std::bad_alloc);
}

}  // namespace
}  // namespace perfpipe
