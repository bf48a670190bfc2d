// Content hashes (XXH3): keys of tasks, integrity of files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace perfpipe {

std::uint64_t hash64(std::string_view bytes);
/// 128-bit hash as 32 hexadecimal digits.
std::string hash128(std::string_view bytes);

/// 128-bit hash of a stream of bytes.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  void update(const void* data, std::size_t bytes);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 128-bit hash of a file's bytes from `offset` to its end; of more than 4 MiB, that of the hashes of blocks of this
/// size, which threads share. Throws IoError naming the file.
std::string hash_file(const std::filesystem::path& path, std::uint64_t offset = 0, int threads = 1);

}  // namespace perfpipe
