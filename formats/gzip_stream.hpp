// Sequential reading of a file that may be gzip-compressed, in constant memory and with every damage seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace perfpipe {

/// Reads plain or inflated bytes from the start on. Concatenated gzip members are one stream (RFC 1952); CRC and length
/// of each are checked when its end is reached. All failures are InputError without the file's name (the caller puts it
/// before).
class GzipStream {
 public:
  /// Opens a regular file. Throws InputError if it cannot be opened.
  explicit GzipStream(const std::filesystem::path& path);
  ~GzipStream();
  GzipStream(GzipStream&&) noexcept;
  GzipStream& operator=(GzipStream&&) noexcept;

  /// Whether the file starts with the gzip magic.
  bool gzipped() const;
  /// Position in the (inflated) bytes.
  std::int64_t position() const;
  /// Fills `count` bytes; fewer only at the end. Throws InputError if the stream is damaged or truncated.
  std::size_t read(void* bytes, std::size_t count);
  /// Goes to a position of the inflated bytes: plain files seek, gzip'd ones inflate, from the start when going back.
  /// Throws InputError if the stream is damaged or ends before.
  void seek(std::int64_t position);
  /// Reads to the end (thus checks every CRC); returns the number of (inflated) bytes in all.
  std::int64_t skip_to_end();
  /// Inflates everything into a nameless file in `folder`, which takes the place of this one: seeking costs nothing
  /// then. The file goes when this does, however the program ends. Throws InputError if the stream is damaged, IoError
  /// if the file cannot be written.
  void inflate_into(const std::filesystem::path& folder);
  /// Bytes of the file after the last gzip member, known once the end has been reached.
  std::int64_t trailing_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace perfpipe
