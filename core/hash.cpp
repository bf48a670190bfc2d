#include "core/hash.hpp"

#define XXH_INLINE_ALL
#include "core/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
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

std::string hash_file(const std::filesystem::path& path, std::uint64_t offset) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw IoError(path.string() + ": cannot be opened: " + std::strerror(errno));
  Hasher hasher;
  std::vector<char> buffer(1 << 20);
  for (auto at = static_cast<off_t>(offset);;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      ::close(fd);
      throw IoError(path.string() + ": read failed at byte " + std::to_string(at) + ": " + std::strerror(error));
    }
    if (got == 0) break;
    hasher.update(buffer.data(), static_cast<std::size_t>(got));
    at += got;
  }
  ::close(fd);
  return hasher.hex();
}

}  // namespace perfpipe
