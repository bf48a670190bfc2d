#include "core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

namespace perfpipe {

void parallel_blocks(std::size_t n, std::size_t block, int threads,
                     const std::function<void(std::size_t, std::size_t)>& work) {
  if (n == 0) return;
  block = std::max<std::size_t>(block, 1);
  const std::size_t blocks = (n + block - 1) / block;
  std::atomic<std::size_t> next{0};
  std::exception_ptr first;
  std::mutex guard;
  const auto loop = [&] {
    for (std::size_t b = next++; b < blocks; b = next++) {
      try {
        work(b * block, std::min(n, (b + 1) * block));
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!first) first = std::current_exception();
        next = blocks;
      }
    }
  };
  const auto extra = std::min<std::size_t>(static_cast<std::size_t>(std::max(1, threads)), blocks) - 1;
  {
    std::vector<std::jthread> helpers;
    for (std::size_t i = 0; i < extra; ++i) helpers.emplace_back(loop);
    loop();
  }
  if (first) std::rethrow_exception(first);
}

void parallel_sums(std::size_t n, std::size_t block, int threads, std::span<double> total,
                   const std::function<void(std::size_t, std::size_t, std::span<double>)>& add) {
  block = std::max<std::size_t>(block, 1);
  const std::size_t width = total.size();
  std::vector<double> sums((n + block - 1) / block * width, 0.0);
  parallel_blocks(n, block, threads, [&](std::size_t begin, std::size_t end) {
    add(begin, end, std::span(sums).subspan(begin / block * width, width));
  });
  for (std::size_t i = 0; i < sums.size(); ++i) total[i % width] += sums[i];
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace perfpipe
