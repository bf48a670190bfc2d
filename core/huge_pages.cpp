// Large blocks of memory: `operator new` and `delete` of the whole program.
//
// A volume's slabs are tens of megabytes, made and dropped again and again. With pages of 4 KB each of them costs tens
// of thousands of page faults, and on pages of any size the kernel clears what it hands out: together a fifth of the
// time of a job whose arithmetic is fast. So large blocks lie on pages of 2 MB where Linux gives them when asked (the
// setting `madvise`, the usual one) or always, and dropped ones are kept for the next of about their size.
//
// malloc is told to map each of them. By itself it takes those of up to 32 MB from its heap as soon as one was dropped,
// and there a dropped block has no room for the next of its size at a multiple of 2 MB: the heap grew by a block with
// each slab.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#include <malloc.h>
#include <sys/mman.h>

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
/// Below this a block would waste too much of its last page.
constexpr std::size_t large = 4 * huge_page;

/// Dropped blocks. For memory that none of them can be, as much of them is given back before it is asked for, so that a
/// program's peak is next to not higher with them than without.
class Dropped {
 public:
  /// One of `bytes` to half more, or nullptr; then the smallest of the others that make up for it are given back.
  void* take(std::size_t bytes) {
    const std::lock_guard lock(guard_);
    auto best = blocks_.end();
    for (auto block = blocks_.begin(); block != blocks_.end(); ++block)
      if (block->bytes >= bytes && block->bytes <= bytes + bytes / 2 &&
          (best == blocks_.end() || block->bytes < best->bytes))
        best = block;
    if (best != blocks_.end()) {
      kept_ -= best->bytes;
      return std::exchange(*best, {}).at;
    }
    std::sort(blocks_.begin(), blocks_.end(), [](const Block& a, const Block& b) { return a.bytes < b.bytes; });
    std::size_t given_back = 0;
    for (auto block = blocks_.begin(); block != blocks_.end() && given_back < bytes; ++block) {
      given_back += block->bytes;
      std::free(std::exchange(*block, {}).at);
    }
    kept_ -= given_back;
    return nullptr;
  }

  /// False if the block is not kept.
  bool keep(void* at, std::size_t bytes) {
    const std::lock_guard lock(guard_);
    const auto place = std::find_if(blocks_.begin(), blocks_.end(), [](const Block& b) { return b.at == nullptr; });
    if (place == blocks_.end() || kept_ + bytes > most) return false;
    *place = {at, bytes};
    kept_ += bytes;
    return true;
  }

 private:
  static constexpr std::size_t most = std::size_t{256} << 20;
  struct Block {
    void* at = nullptr;
    std::size_t bytes = 0;
  };
  std::mutex guard_;
  std::array<Block, 16> blocks_;
  std::size_t kept_ = 0;
};

constinit Dropped dropped;

void* allocate(std::size_t bytes) {
  if (bytes < large) return std::malloc(bytes == 0 ? 1 : bytes);
  const std::size_t whole = (bytes + huge_page - 1) / huge_page * huge_page;
  if (whole < bytes) return nullptr;
  void* block = dropped.take(whole);
  if (block != nullptr) return block;
  static const int mapped = mallopt(M_MMAP_THRESHOLD, static_cast<int>(large));
  if (mapped == 0) return nullptr;
  if (posix_memalign(&block, huge_page, whole) != 0) return nullptr;
  madvise(block, whole, MADV_HUGEPAGE);  // a wish: where it is not granted all works as before
  return block;
}

void release(void* block) {
  // Whoever made it: a block of malloc's that lies like ours and is as large is as good as ours.
  if (block != nullptr && reinterpret_cast<std::uintptr_t>(block) % huge_page == 0) {
    const std::size_t bytes = malloc_usable_size(block) / huge_page * huge_page;
    if (bytes >= large && dropped.keep(block, bytes)) return;
  }
  std::free(block);
}

}  // namespace

// The standard's other forms call these.
void* operator new(std::size_t bytes) {
  for (;;) {
    if (void* const block = allocate(bytes)) return block;
    const auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }

#endif
