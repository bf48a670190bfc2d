// core/huge_pages.cpp: the program's `operator new` and `delete`.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <new>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

constexpr std::size_t mebibyte = 1 << 20;

std::unique_ptr<char[]> block_of(std::size_t bytes) { return std::unique_ptr<char[]>(new char[bytes]); }

/// Of a block that may be gone.
std::uintptr_t place_of(const std::unique_ptr<char[]>& block) { return reinterpret_cast<std::uintptr_t>(block.get()); }

std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(LargeBlocks, LieOnWholeHugePages) {
  const auto block = block_of(20 * mebibyte);
  EXPECT_EQ(place_of(block) % (2 * mebibyte), 0u);
}

TEST(LargeBlocks, AreUsedAgainForOnesOfAboutTheirSize) {
  auto block = block_of(40 * mebibyte);
  const auto place = place_of(block);
  block.reset();
  block = block_of(36 * mebibyte);
  EXPECT_EQ(place_of(block), place);
}

TEST(LargeBlocks, AreGivenBackBeforeOthersAreAskedFor) {
  auto block = block_of(200 * mebibyte);
  std::memset(block.get(), 1, 200 * mebibyte);
  const std::size_t with = resident_bytes();
  block.reset();
  EXPECT_GT(resident_bytes() + 50 * mebibyte, with) << "kept";
  block = block_of(250 * mebibyte);
  EXPECT_LT(resident_bytes() + 150 * mebibyte, with);
}

TEST(LargeBlocks, LeaveNoHolesBehind) {
  // As a volume is worked through: two slabs at a time, and small things that stay between them. The first block makes
  // malloc take those of its size from the heap, where this held 300 MiB in the end.
  const auto filled = [](std::size_t bytes) {
    auto block = block_of(bytes);
    std::memset(block.get(), 1, bytes);
    return block;
  };
  filled(28 * mebibyte);
  const std::size_t before = resident_bytes();
  std::vector<std::unique_ptr<char[]>> small;
  std::deque<std::unique_ptr<char[]>> slabs;
  for (int round = 0; round < 20; ++round) {
    slabs.push_back(filled(18 * mebibyte + 1000));
    for (int i = 0; i < 10; ++i) small.push_back(filled(20000));
    if (slabs.size() > 2) slabs.pop_front();
  }
  EXPECT_LE(resident_bytes(), before + 80 * mebibyte) << "three slabs and the small things";
}

TEST(LargeBlocks, ThatCannotBeHadAreAnError) {
  EXPECT_THROW(operator delete(operator new (std::size_t{1} << 62)), std::bad_alloc);
  EXPECT_THROW(operator delete(operator new (~std::size_t{0})), std::bad_alloc);
}

TEST(LargeBlocks, ThreadsDoNotGetTheSameOne) {
  std::vector<std::jthread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t, &wrong] {
      for (int i = 0; i < 50; ++i) {
        const auto block = block_of(8 * mebibyte);
        for (std::size_t at = 0; at < 8 * mebibyte; at += mebibyte) block[at] = static_cast<char>(t);
        for (std::size_t at = 0; at < 8 * mebibyte; at += mebibyte) wrong += block[at] != static_cast<char>(t);
      }
    });
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

#endif

}  // namespace
}  // namespace perfpipe
