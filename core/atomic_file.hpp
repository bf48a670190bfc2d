// Files that are either there whole or not at all: written beside their place, made durable, then renamed.
#pragma once

#include "core/descriptor.hpp"
#include "core/error.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace perfpipe {

/// A temporary file in the folder of `target` that takes its place on `commit`. Without a commit (an exception, a
/// failed write) the temporary is removed and `target` stays as it was. For writers that want a path (HDF5, ITK); they
/// write to `temporary()` and must have closed it before `commit`.
class PendingFile {
 public:
  /// Creates the temporary, empty, as `.NAME.tmp-N` plus `suffix` (for libraries that go by the extension). Throws
  /// IoError naming the path and the system's reason (no such folder, read-only, disk full).
  explicit PendingFile(std::filesystem::path target, const std::string& suffix = "");
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  const std::filesystem::path& target() const { return target_; }

  /// Lets the system begin to write what is in the temporary so far to the disk, so that commit() waits less.
  void write_back();

  /// fsync of the temporary, rename to the target, fsync of the folder. Throws IoError naming the path and the reason.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  bool committed_ = false;
  std::optional<Descriptor> written_back_;  ///< the temporary, for write_back()
};

/// fsync: the bytes written to the file so far outlast a crash of the machine. Throws IoError naming it.
void make_durable(const std::filesystem::path& file);

/// Replaces the file at `path` by `bytes`, durably and at once. Throws IoError naming the path and the system's reason.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// The whole of a small text file (sidecars, tables). Follows symbolic links. Adds a finding if it is a folder, a FIFO,
/// a dangling link, cannot be opened or read, or holds more than `max_bytes`.
std::optional<std::string> read_small_file(const std::filesystem::path& path, std::size_t max_bytes,
                                           Findings& findings);

}  // namespace perfpipe
