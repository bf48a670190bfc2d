// Work on fixed blocks by the threads of a rank. Block bounds depend on the problem alone, so the bits do not depend on
// how many threads there are.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace perfpipe {

/// Calls work(begin, end) for [0, n) cut into blocks of `block`, on up to `threads` threads. The first exception is
/// rethrown after all threads have ended.
void parallel_blocks(std::size_t n, std::size_t block, int threads,
                     const std::function<void(std::size_t, std::size_t)>& work);

/// Cores that this process may run on (its affinity mask), at least 1.
int usable_cores();

/// Adds sums over n items to `total`: add(begin, end, sums) makes those of a block. The blocks' sums are added in their
/// order, so that the bits do not depend on the threads (nor on calls with some of the blocks each, as of whole
/// slices).
void parallel_sums(std::size_t n, std::size_t block, int threads, std::span<double> total,
                   const std::function<void(std::size_t, std::size_t, std::span<double>)>& add);

}  // namespace perfpipe
