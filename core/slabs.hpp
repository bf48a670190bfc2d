// Work through a volume slab by slab, the next slab read while the one before is worked on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>

namespace perfpipe {

/// Calls work(first, count, read(first, count)) for slabs of up to `step` of `slices` slices, in their order. With more
/// than one thread the next slab is read meanwhile by a thread of its own. What either throws comes out here.
template <class Read, class Work>
void for_each_slab(std::int64_t slices, std::int64_t step, int threads, const Read& read, const Work& work) {
  const auto policy = threads > 1 ? std::launch::async : std::launch::deferred;
  const auto start = [&](std::int64_t first) {
    return std::async(policy, [&read, first, count = std::min(step, slices - first)] { return read(first, count); });
  };
  if (slices <= 0) return;
  auto next = start(0);
  for (std::int64_t first = 0; first < slices; first += step) {
    const auto slab = next.get();
    if (first + step < slices) next = start(first + step);
    work(first, std::min(step, slices - first), slab);
  }
}

}  // namespace perfpipe
