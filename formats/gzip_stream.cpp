#include "formats/gzip_stream.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <limits>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace perfpipe {
namespace {

#ifdef __x86_64__
[[gnu::target("avx")]] void clear_upper_halves() { _mm256_zeroupper(); }

/// ISA-L 2.30 returns with the upper halves of the vector registers in use. Until someone clears them, every SSE
/// instruction of this thread, and of threads that it starts, waits for the one before: the import of a .nii.gz took
/// 2.1 s instead of 0.4.
void leave_vector_code() {
  static const bool has_them = __builtin_cpu_supports("avx");
  if (has_them) clear_upper_halves();
}
#else
void leave_vector_code() {}
#endif

/// ISA-L's codes (igzip_lib.h) for people.
const char* reason(int code) {
  switch (code) {
    case ISAL_INCORRECT_CHECKSUM:
      return "wrong CRC or length";
    case ISAL_INVALID_BLOCK:
      return "invalid block";
    case ISAL_INVALID_SYMBOL:
      return "invalid code";
    case ISAL_INVALID_LOOKBACK:
      return "invalid distance";
    case ISAL_INVALID_WRAPPER:
      return "invalid gzip header";
    case ISAL_UNSUPPORTED_METHOD:
      return "unknown compression method";
    default:
      return "unknown reason";
  }
}

}  // namespace

struct GzipStream::State {
  int fd = -1;
  bool gzipped = false;
  bool ended = false;
  std::int64_t file_size = 0;
  std::int64_t consumed = 0;  ///< bytes of the file handed to the decompressor
  std::int64_t position = 0;
  std::int64_t trailing = 0;
  inflate_state inflater{};  ///< some 80 KB
  std::vector<std::uint8_t> input = std::vector<std::uint8_t>(1 << 16);

  ~State() {
    if (fd >= 0) ::close(fd);
  }

  std::size_t read_file(void* bytes, std::size_t count) {
    std::size_t done = 0;
    while (done < count) {
      const ssize_t got = ::read(fd, static_cast<char*>(bytes) + done, count - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw InputError(fmt::format("read failed: {}", std::strerror(errno)));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  void rewind() {
    if (::lseek(fd, 0, SEEK_SET) < 0) throw InputError(fmt::format("cannot be rewound: {}", std::strerror(errno)));
    start_member();
    inflater.avail_in = 0;
    ended = false;
    consumed = position = trailing = 0;
  }

  /// Forgets the member before, but not the input at hand.
  void start_member() {
    isal_inflate_reset(&inflater);
    inflater.crc_flag = ISAL_GZIP;  // gzip framing only; CRC-32 and length of each member are checked
  }

  /// Leaves at least one byte of input, unless the file is at its end.
  void refill() {
    if (inflater.avail_in > 0) return;
    const std::size_t got = read_file(input.data(), input.size());
    consumed += static_cast<std::int64_t>(got);
    inflater.next_in = input.data();
    inflater.avail_in = static_cast<std::uint32_t>(got);
  }

  /// After a member: goes on with the next one, or counts what is no gzip member as trailing.
  void end_of_member() {
    refill();
    // A member starts with 1f 8b; one byte suffices here, since the decompressor refuses a wrong second one.
    if (inflater.avail_in > 0 && inflater.next_in[0] == 0x1f) {
      start_member();
      return;
    }
    ended = true;
    trailing = file_size - consumed + inflater.avail_in;
  }

  std::size_t inflate_some(void* bytes, std::size_t count) {
    inflater.next_out = static_cast<std::uint8_t*>(bytes);
    std::size_t done = 0;
    while (done < count && !ended) {
      refill();
      // What was read before the end of the file can still be in the decompressor's own buffers.
      if (inflater.avail_in == 0 && inflater.tmp_out_valid == inflater.tmp_out_processed)
        throw InputError(
            fmt::format("the gzip stream ends early, after {} inflated bytes: the file is truncated; copy it again",
                        position + static_cast<std::int64_t>(done)));
      const auto room =
          static_cast<std::uint32_t>(std::min<std::size_t>(count - done, std::numeric_limits<std::uint32_t>::max()));
      inflater.avail_out = room;
      const int result = isal_inflate(&inflater);
      leave_vector_code();
      done += room - inflater.avail_out;
      if (result != ISAL_DECOMP_OK)
        throw InputError(
            fmt::format("the gzip stream is damaged after {} inflated bytes ({}): a wrong CRC, length or code; "
                        "copy the file again",
                        position + static_cast<std::int64_t>(done), reason(result)));
      if (inflater.block_state == ISAL_BLOCK_FINISH) end_of_member();
    }
    return done;
  }
};

GzipStream::GzipStream(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state_->fd < 0) throw InputError(fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct stat facts {};
  if (::fstat(state_->fd, &facts) != 0) throw InputError(fmt::format("cannot be examined: {}", std::strerror(errno)));
  state_->file_size = facts.st_size;
  std::uint8_t magic[2] = {};
  const bool gzipped = state_->read_file(magic, 2) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
  isal_inflate_init(&state_->inflater);
  state_->gzipped = gzipped;
  state_->rewind();
}

GzipStream::~GzipStream() = default;
GzipStream::GzipStream(GzipStream&&) noexcept = default;
GzipStream& GzipStream::operator=(GzipStream&&) noexcept = default;

bool GzipStream::gzipped() const { return state_->gzipped; }
std::int64_t GzipStream::position() const { return state_->position; }
std::int64_t GzipStream::trailing_bytes() const { return state_->trailing; }

std::size_t GzipStream::read(void* bytes, std::size_t count) {
  const std::size_t got = state_->gzipped ? state_->inflate_some(bytes, count) : state_->read_file(bytes, count);
  state_->position += static_cast<std::int64_t>(got);
  return got;
}

void GzipStream::seek(std::int64_t position) {
  if (!state_->gzipped) {
    if (::lseek(state_->fd, position, SEEK_SET) < 0)
      throw InputError(fmt::format("cannot go to byte {}: {}", position, std::strerror(errno)));
    state_->position = position;
    return;
  }
  if (position < state_->position) state_->rewind();
  std::vector<std::uint8_t> scratch(1 << 16);
  while (state_->position < position) {
    const auto step = std::min<std::int64_t>(position - state_->position, static_cast<std::int64_t>(scratch.size()));
    if (read(scratch.data(), static_cast<std::size_t>(step)) == 0)
      throw InputError(fmt::format("ends after {} inflated bytes, before byte {}", state_->position, position));
  }
}

void GzipStream::inflate_into(const std::filesystem::path& folder) {
  const auto fail = [&] {
    throw IoError(fmt::format("{}: a series cannot be inflated there: {}", folder.string(), std::strerror(errno)));
  };
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {  // a file system without nameless files
    std::string name = (folder / ".inflated.tmp-XXXXXX").string();
    fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) fail();
    ::unlink(name.c_str());
  }
  auto plain = std::make_unique<State>();
  plain->fd = fd;
  seek(0);
  std::vector<std::uint8_t> piece(1 << 20);
  while (const std::size_t got = read(piece.data(), piece.size()))
    for (std::size_t done = 0; done < got;) {
      const ssize_t put = ::write(fd, piece.data() + done, got - done);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail();
      done += static_cast<std::size_t>(put);
    }
  plain->file_size = state_->position;
  plain->trailing = state_->trailing;
  state_ = std::move(plain);
  seek(0);
}

std::int64_t GzipStream::skip_to_end() {
  if (!state_->gzipped) {
    seek(state_->file_size);
    return state_->file_size;
  }
  std::vector<std::uint8_t> scratch(1 << 16);
  while (read(scratch.data(), scratch.size()) > 0) {
  }
  return state_->position;
}

}  // namespace perfpipe
