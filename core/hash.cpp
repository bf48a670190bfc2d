#include "core/hash.hpp"

#define XXH_INLINE_ALL
#include "core/descriptor.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <vector>

#include <xxhash.h>

namespace perfpipe {
namespace {

std::string hex128(XXH128_hash_t h) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, h);
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : canonical.digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// Read and hashed by itself, so that threads can share a large file. Part of what a hash of a file means.
constexpr std::uint64_t file_block = 4 << 20;

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path) : path_(path), file_(path, O_RDONLY) {
    if (file_.get() < 0) fail("cannot be opened");
  }

  std::uint64_t size() const {
    struct stat facts {};
    if (::fstat(file_.get(), &facts) != 0) fail("its size cannot be read");
    return static_cast<std::uint64_t>(facts.st_size);
  }

  std::string hash(std::uint64_t at, std::uint64_t bytes) const {
    Hasher hasher;
    std::vector<char> buffer(std::min<std::uint64_t>(bytes, 256 << 10));  // stays in the second-level cache
    while (bytes > 0) {
      const ssize_t got =
          ::pread(file_.get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), bytes), static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read failed at byte " + std::to_string(at));
      if (got == 0) throw IoError(path_.string() + ": became shorter while it was read");
      hasher.update(buffer.data(), static_cast<std::size_t>(got));
      at += static_cast<std::uint64_t>(got);
      bytes -= static_cast<std::uint64_t>(got);
    }
    return hasher.hex();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw IoError(path_.string() + ": " + what + ": " + std::strerror(errno));
  }

  const std::filesystem::path& path_;
  Descriptor file_;
};

}  // namespace

std::uint64_t hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }
std::string hash128(std::string_view bytes) { return hex128(XXH3_128bits(bytes.data(), bytes.size())); }

struct alignas(64) Hasher::State {
  XXH3_state_t xxh;
};
Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Hasher::~Hasher() = default;
void Hasher::update(const void* data, std::size_t bytes) { XXH3_128bits_update(&state_->xxh, data, bytes); }
std::string Hasher::hex() const { return hex128(XXH3_128bits_digest(&state_->xxh)); }

std::string hash_file(const std::filesystem::path& path, std::uint64_t offset, int threads) {
  const OpenFile file(path);
  const std::uint64_t size = file.size(), bytes = size > offset ? size - offset : 0;
  std::vector<std::string> blocks(static_cast<std::size_t>((bytes + file_block - 1) / file_block));
  parallel_blocks(blocks.size(), 1, threads, [&](std::size_t i, std::size_t) {
    const std::uint64_t first = i * file_block;
    blocks[i] = file.hash(offset + first, std::min(file_block, bytes - first));
  });
  if (blocks.empty()) return hash128("");
  if (blocks.size() == 1) return blocks[0];
  Hasher all;
  for (const auto& block : blocks) all.update(block.data(), block.size());
  return all.hex();
}

}  // namespace perfpipe
