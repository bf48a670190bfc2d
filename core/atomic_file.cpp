#include "core/atomic_file.hpp"

#include "core/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + ": " + what + ": " + std::strerror(errno));
}

void write_all(int fd, const fs::path& path, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0)
      fail(path, "write failed after " + std::to_string(done) + " of " + std::to_string(bytes.size()) + " bytes");
    done += static_cast<std::size_t>(put);
  }
}

void sync_folder(const fs::path& target) {
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  const Descriptor opened(folder, O_RDONLY | O_DIRECTORY);
  if (opened.get() < 0) fail(folder, "folder cannot be opened to make a rename durable");
  // Some network file systems cannot sync a folder and say so with EINVAL: their rename is already durable.
  if (::fsync(opened.get()) != 0 && errno != EINVAL) fail(folder, "fsync of the folder failed");
}

}  // namespace

PendingFile::PendingFile(fs::path target, const std::string& suffix) : target_(std::move(target)) {
  // O_EXCL makes the name unique even between hosts that share the folder; leftovers of a killed run are stepped over.
  for (int attempt = 0; attempt < 1000; ++attempt) {
    temporary_ = target_;
    temporary_.replace_filename("." + target_.filename().string() + ".tmp-" + std::to_string(::getpid()) + "-" +
                                std::to_string(attempt) + suffix);
    const Descriptor created(temporary_, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (created.get() >= 0) return;
    if (errno != EEXIST) fail(target_, "cannot be created");
  }
  throw IoError(target_.string() + ": cannot be created: 1000 abandoned temporary files (." +
                target_.filename().string() + ".tmp-*) stand beside it; remove them");
}

PendingFile::~PendingFile() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void make_durable(const fs::path& file) {
  Descriptor written(file, O_RDONLY);
  if (written.get() < 0) fail(file, "cannot be opened again");
  if (::fsync(written.get()) != 0) fail(file, "fsync failed");
  if (written.close() != 0) fail(file, "close failed");
}

void PendingFile::write_back() {
#ifdef SYNC_FILE_RANGE_WRITE
  if (!written_back_) written_back_.emplace(temporary_, O_RDONLY);
  // A hint: what goes wrong on the way to the disk is told by fsync.
  if (written_back_->get() >= 0) ::sync_file_range(written_back_->get(), 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
}

void PendingFile::commit() {
  make_durable(temporary_);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail(target_, "rename into place failed");
  committed_ = true;
  sync_folder(target_);
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  PendingFile pending(path);
  {
    Descriptor out(pending.temporary(), O_WRONLY | O_TRUNC);
    if (out.get() < 0) fail(path, "temporary file cannot be opened");
    write_all(out.get(), path, bytes);
    if (out.close() != 0) fail(path, "close failed");
  }
  pending.commit();
}

std::optional<std::string> read_small_file(const fs::path& path, std::size_t max_bytes, Findings& findings) {
  const auto refuse = [&](const std::string& what) {
    findings.add(path.string(), what);
    return std::nullopt;
  };
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    const std::string reason = std::strerror(errno);
    struct stat link {};
    const bool dangling = ::lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
    return refuse((dangling ? "is a symbolic link whose target cannot be opened: " : "cannot be opened: ") + reason +
                  "; expected a file");
  }
  if (S_ISDIR(facts.st_mode)) return refuse("is a folder; expected a file");
  if (!S_ISREG(facts.st_mode)) return refuse("is a FIFO, a socket or a device; expected a regular file");
  const Descriptor in(path, O_RDONLY);
  if (in.get() < 0) return refuse(std::string("cannot be opened: ") + std::strerror(errno) + "; check its permissions");
  std::string bytes;
  char buffer[1 << 14];
  for (;;) {
    const ssize_t got = ::read(in.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(std::string("read failed: ") + std::strerror(errno));
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (bytes.size() > max_bytes)
      return refuse("is larger than the " + std::to_string(max_bytes) + " bytes allowed for such a file");
  }
}

}  // namespace perfpipe
