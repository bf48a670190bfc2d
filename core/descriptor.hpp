// A file that the system has open.
#pragma once

#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace perfpipe {

/// Closes on every way out; `close()` reports what a delayed write left for the end. `get()` is negative, and errno
/// says why, where the file could not be opened.
class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

}  // namespace perfpipe
