// Large blocks of memory on huge pages: `operator new` and `delete` of the whole program.
//
// A volume's slabs are tens of megabytes, made and dropped again and again. With pages of 4 KB each of them costs tens
// of thousands of page faults, and on pages of any size the kernel clears what it hands out: together a fifth of the
// time of a job whose arithmetic is fast. So large blocks lie on pages of 2 MB where Linux gives them when asked (the
// setting `madvise`, the usual one) or always, and dropped ones are kept for the next of about their size.
//
// The blocks are mapped here and not by malloc: that takes those of up to 32 MB from its heap, where a block that was
// dropped has no room for the next of its size at a multiple of 2 MB. So the heap grew by a block with each slab: the
// import of 256 x 256 x 40 x 70 values held 698 MiB instead of 380.
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#include <sys/mman.h>

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
/// Below this a block would waste too much of its last page.
constexpr std::size_t large = 4 * huge_page;
/// So much is kept of what was dropped.
constexpr std::size_t most_kept = std::size_t{256} << 20;

/// Before the start of each block, which is a multiple of huge_page, as no smaller block's is.
struct Head {
  void* mapping;
  std::size_t mapped;
  std::size_t bytes;
  Head* next;  ///< of the blocks that are kept, the one dropped before
};

void* start_of(Head* head) { return head + 1; }
Head* head_of(void* start) { return static_cast<Head*>(start) - 1; }

/// Blocks that were dropped, the last first. For memory that none of them can be, as much of them is given back before
/// it is asked for: a program's peak is next to not higher with them than without.
class KeptBlocks {
 public:
  /// A block for so many bytes, at most half larger; null if there is none.
  void* take(std::size_t bytes) {
    const std::lock_guard lock(guard_);
    Head** best = nullptr;
    for (Head** place = &first_; *place != nullptr; place = &(*place)->next) {
      const std::size_t size = (*place)->bytes;
      if (size >= bytes && size - bytes <= bytes / 2 && (best == nullptr || size < (*best)->bytes)) best = place;
    }
    if (best != nullptr) return start_of(unlink(best));
    for (std::size_t given_back = 0; given_back < bytes && first_ != nullptr;) given_back += give_back_oldest();
    return nullptr;
  }
  void keep(Head* head) {
    const std::lock_guard lock(guard_);
    head->next = first_;
    first_ = head;
    total_ += head->bytes;
    while (total_ > most_kept) give_back_oldest();
  }

 private:
  Head* unlink(Head** place) {
    Head* const head = *place;
    *place = head->next;
    total_ -= head->bytes;
    return head;
  }
  /// Its bytes.
  std::size_t give_back_oldest() {
    Head** oldest = &first_;
    while ((*oldest)->next != nullptr) oldest = &(*oldest)->next;
    Head* const head = unlink(oldest);
    const std::size_t bytes = head->bytes;
    ::munmap(head->mapping, head->mapped);
    return bytes;
  }

  std::mutex guard_;
  Head* first_ = nullptr;
  std::size_t total_ = 0;
};
constinit KeptBlocks kept;  // before and after all other objects: its destructor does nothing

void* map(std::size_t bytes) {
  constexpr std::size_t page = 4096;  // for the head
  const std::size_t mapped = bytes + huge_page;
  if (mapped < bytes) return nullptr;
  void* const mapping = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  const auto address = (reinterpret_cast<std::uintptr_t>(mapping) + page + huge_page - 1) / huge_page * huge_page;
  void* const start = reinterpret_cast<void*>(address);
  ::madvise(start, bytes, MADV_HUGEPAGE);  // a wish: where it is not granted all works as before
  *head_of(start) = {mapping, mapped, bytes, nullptr};
  return start;
}

bool is_large(const void* block) { return reinterpret_cast<std::uintptr_t>(block) % huge_page == 0; }

void* allocate_small(std::size_t bytes) {
  void* const block = std::malloc(bytes == 0 ? 1 : bytes);
  if (block == nullptr || !is_large(block)) return block;
  void* const other = allocate_small(bytes);  // one of 131072 places would be taken for a large block's
  std::free(block);
  return other;
}

void* allocate(std::size_t bytes) {
  if (bytes < large) return allocate_small(bytes);
  const std::size_t whole = (bytes + huge_page - 1) / huge_page * huge_page;
  if (whole < bytes) return nullptr;
  void* const block = kept.take(whole);
  return block != nullptr ? block : map(whole);
}

}  // namespace

// The standard's other forms call these two; those for large alignments are not meant, and have their own `delete`.
void* operator new(std::size_t bytes) {
  for (;;) {
    if (void* const block = allocate(bytes)) return block;
    const auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void operator delete(void* block) noexcept {
  if (block != nullptr && is_large(block))
    kept.keep(head_of(block));
  else
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept { operator delete(block); }

#endif
