// Large blocks of memory on huge pages: `operator new` of the whole program.
//
// A volume's slabs are tens of megabytes, made and dropped again and again; with pages of 4 KB each of them costs tens
// of thousands of page faults, a tenth of the time of a job whose arithmetic is fast. Linux gives pages of 2 MB where
// it is asked to (the setting `madvise`, the usual one) or always.
#include <cstdlib>
#include <new>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#include <sys/mman.h>

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
/// Below this a block would waste too much of its last page.
constexpr std::size_t large = 4 * huge_page;

void* allocate(std::size_t bytes) {
  if (bytes < large) return std::malloc(bytes == 0 ? 1 : bytes);
  void* block = nullptr;
  const std::size_t whole = (bytes + huge_page - 1) / huge_page * huge_page;
  if (whole < bytes || posix_memalign(&block, huge_page, whole) != 0) return nullptr;
  madvise(block, whole, MADV_HUGEPAGE);  // a wish: where it is not granted all works as before
  return block;
}

}  // namespace

// The standard's other forms call this one; its `operator delete` frees what malloc gave.
void* operator new(std::size_t bytes) {
  for (;;) {
    if (void* const block = allocate(bytes)) return block;
    const auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

#endif
