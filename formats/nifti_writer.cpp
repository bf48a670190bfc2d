#include "core/atomic_file.hpp"
#include "formats/nifti_image.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <itkNiftiImageIO.h>
#include <zlib.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t data_start = 352;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw IoError(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
}

/// What the file is to hold, in the file's order (t, z, y, x).
struct Content {
  std::vector<std::int64_t> dim;
  std::span<const std::uint8_t> data;
  itk::IOComponentEnum component;
};

void write_through_itk(const fs::path& temporary, const fs::path& target, const Content& content) {
  try {
    const auto io = itk::NiftiImageIO::New();
    io->SetFileName(temporary.string());
    io->SetNumberOfDimensions(static_cast<unsigned>(content.dim.size()));
    itk::ImageIORegion region(static_cast<unsigned>(content.dim.size()));
    for (unsigned axis = 0; axis < content.dim.size(); ++axis) {
      const auto size = static_cast<itk::SizeValueType>(content.dim[axis]);
      io->SetDimensions(axis, size);
      region.SetSize(axis, size);
    }
    io->SetIORegion(region);
    io->SetPixelType(itk::IOPixelEnum::SCALAR);
    io->SetComponentType(content.component);
    io->SetNumberOfComponents(1);
    io->Write(content.data.data());
  } catch (const itk::ExceptionObject& error) {
    throw IoError(fmt::format("{}: cannot be written: {}", target.string(), error.GetDescription()));
  }
}

/// Puts the geometry into the header on disk, and reads everything back: ITK leaves a truncated file without an error
/// when the disk is full. Returns the header (with the four bytes that say "no extension").
std::array<std::uint8_t, data_start> finish_header(const fs::path& temporary, const fs::path& target,
                                                   const Content& content, const NiftiHeader& like,
                                                   const std::string& description) {
  const auto expected = data_start + static_cast<std::int64_t>(content.data.size());
  struct stat facts {};
  if (::stat(temporary.c_str(), &facts) != 0) fail(target, "temporary file has gone");
  if (facts.st_size != expected) {
    std::error_code error;
    const auto space = fs::space(temporary.parent_path().empty() ? fs::path(".") : temporary.parent_path(), error);
    throw IoError(fmt::format(
        "{}: only {} of {} bytes could be written: the disk is full, or a quota or size limit is reached "
        "({} bytes are free in its folder)",
        target.string(), facts.st_size, expected, error ? std::string("unknown") : std::to_string(space.available)));
  }
  const File file(std::fopen(temporary.c_str(), "r+b"));
  if (!file) fail(target, "temporary file cannot be opened again");
  std::array<std::uint8_t, data_start> header{};
  if (std::fread(header.data(), 1, header.size(), file.get()) != header.size()) fail(target, "cannot be read back");
  std::vector<std::uint8_t> chunk(1 << 20);
  for (std::size_t at = 0; at < content.data.size(); at += chunk.size()) {
    const std::size_t count = std::min(chunk.size(), content.data.size() - at);
    if (std::fread(chunk.data(), 1, count, file.get()) != count) fail(target, "cannot be read back");
    if (std::memcmp(chunk.data(), content.data.data() + at, count) != 0)
      throw IoError(fmt::format("{}: what was read back differs from what was written, near byte {}", target.string(),
                                data_start + static_cast<std::int64_t>(at)));
  }
  patch_nifti_header(header, like, description);
  if (std::fseek(file.get(), 0, SEEK_SET) != 0 ||
      std::fwrite(header.data(), 1, header.size(), file.get()) != header.size() || std::fflush(file.get()) != 0)
    fail(target, "header could not be written");
  return header;
}

/// Writes header and data as one gzip member. zlib's own header carries no name and time 0: same values, same bytes.
/// In a map little repeats but the zeros around the brain: looking for that alone takes a fifth of the time and gives
/// files of the same size. Frames of a series repeat each other.
void write_gzip(const fs::path& temporary, const fs::path& target, std::span<const std::uint8_t> header,
                std::span<const std::uint8_t> data, bool is_map) {
  const File file(std::fopen(temporary.c_str(), "wb"));
  if (!file) fail(target, "temporary file cannot be opened");
  z_stream zlib{};
  if (deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, is_map ? Z_RLE : Z_DEFAULT_STRATEGY) != Z_OK)
    throw IoError(target.string() + ": zlib could not be started");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&zlib, deflateEnd);
  std::vector<std::uint8_t> out(1 << 18);
  const auto deflate_all = [&](std::span<const std::uint8_t> bytes, bool last) {
    constexpr std::size_t most = std::size_t{1} << 30;  // zlib counts in 32 bits
    do {
      const auto part = bytes.first(std::min(most, bytes.size()));
      bytes = bytes.subspan(part.size());
      const int flush = last && bytes.empty() ? Z_FINISH : Z_NO_FLUSH;
      zlib.next_in = const_cast<Bytef*>(part.data());
      zlib.avail_in = static_cast<uInt>(part.size());
      do {
        zlib.next_out = out.data();
        zlib.avail_out = static_cast<uInt>(out.size());
        deflate(&zlib, flush);
        const std::size_t made = out.size() - zlib.avail_out;
        if (std::fwrite(out.data(), 1, made, file.get()) != made) fail(target, "write failed");
      } while (zlib.avail_out == 0);
    } while (!bytes.empty());
  };
  deflate_all(header, false);
  deflate_all(data, true);
  if (std::fflush(file.get()) != 0) fail(target, "write failed");
}

void write_file(const fs::path& path, const Content& content, const NiftiHeader& like, const std::string& description) {
  for (const std::int64_t size : content.dim)
    if (size < 1 || size > max_nifti_dimension)
      throw IoError(fmt::format("{}: a dimension of {} does not fit into NIfTI-1 (1 to {})", path.string(), size,
                                max_nifti_dimension));
  PendingFile plain(path, ".nii");
  write_through_itk(plain.temporary(), path, content);
  const auto header = finish_header(plain.temporary(), path, content, like, description);
  if (path.extension() != ".gz") return plain.commit();
  PendingFile compressed(path);
  write_gzip(compressed.temporary(), path, header, content.data, content.dim.size() == 3);
  compressed.commit();
}

void check_count(const fs::path& path, std::size_t found, std::int64_t wanted) {
  if (found != static_cast<std::size_t>(wanted))
    throw std::invalid_argument(fmt::format("{}: {} values for {} voxels", path.string(), found, wanted));
}

std::vector<std::int64_t> volume_shape(const NiftiHeader& like) {
  const auto extent = like.extent();
  return {extent.begin(), extent.end()};
}

std::int64_t voxels(const NiftiHeader& like) {
  const auto [nx, ny, nz] = like.extent();
  return nx * ny * nz;
}

std::span<const std::uint8_t> bytes_of(std::span<const float> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

}  // namespace

void write_nifti_volume(const fs::path& path, std::span<const float> values, const NiftiHeader& like,
                        const std::string& description) {
  check_count(path, values.size(), voxels(like));
  write_file(path, {volume_shape(like), bytes_of(values), itk::IOComponentEnum::FLOAT}, like, description);
}

void write_nifti_volume(const fs::path& path, std::span<const std::uint8_t> values, const NiftiHeader& like,
                        const std::string& description) {
  check_count(path, values.size(), voxels(like));
  write_file(path, {volume_shape(like), values, itk::IOComponentEnum::UCHAR}, like, description);
}

void write_nifti_series(const fs::path& path, std::span<const float> values, const NiftiHeader& like,
                        const std::string& description) {
  const std::int64_t voxel_count = voxels(like), frame_count = like.frames();
  check_count(path, values.size(), voxel_count * frame_count);
  std::vector<float> in_file_order(values.size());
  for (std::int64_t voxel = 0; voxel < voxel_count; ++voxel)
    for (std::int64_t t = 0; t < frame_count; ++t)
      in_file_order[static_cast<std::size_t>(t * voxel_count + voxel)] =
          values[static_cast<std::size_t>(voxel * frame_count + t)];
  auto shape = volume_shape(like);
  shape.push_back(frame_count);
  write_file(path, {shape, bytes_of(in_file_order), itk::IOComponentEnum::FLOAT}, like, description);
}

}  // namespace perfpipe
