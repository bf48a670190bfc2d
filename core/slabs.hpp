// Work through a volume slab by slab, the next slab read while the one before is worked on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <utility>

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
    auto slab = next.get();
    if (first + step < slices) next = start(first + step);
    work(first, std::min(step, slices - first), slab);
  }
}

/// Writes in a thread of its own what was computed, while the next is; without threads to spare at once.
class WriteBehind {
 public:
  explicit WriteBehind(int threads) : policy_(threads > 1 ? std::launch::async : std::launch::deferred) {}
  /// Waits for the write before, so that they come in their order, and throws what it threw.
  template <class Write>
  void start(Write write) {
    finish();
    last_ = std::async(policy_, std::move(write));
    if (policy_ == std::launch::deferred) finish();
  }
  /// Call it after the last: the destructor waits, but swallows what was thrown.
  void finish() {
    if (last_.valid()) last_.get();
  }

 private:
  std::launch policy_;
  std::future<void> last_;
};

}  // namespace perfpipe
