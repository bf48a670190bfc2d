#include "formats/nifti_file.hpp"

#include "formats/gzip_stream.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

/// Corners further apart than this (mm) are different grids (INPUTS: mask).
constexpr double same_grid_mm = 0.1;

/// Size of a regular file that can be opened; a finding otherwise.
std::optional<std::int64_t> regular_file_size(const fs::path& path, Findings& findings) {
  const std::string file = path.string();
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    const int reason = errno;
    struct stat link {};
    const bool dangling = ::lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
    findings.add(file, dangling ? fmt::format("is a symbolic link whose target cannot be opened: {}; expected a file",
                                              std::strerror(reason))
                                : fmt::format("cannot be opened: {}; expected a file", std::strerror(reason)));
    return std::nullopt;
  }
  if (!S_ISREG(facts.st_mode)) {
    findings.add(file, fmt::format("is {}; expected a regular file", S_ISDIR(facts.st_mode)    ? "a folder"
                                                                     : S_ISFIFO(facts.st_mode) ? "a FIFO"
                                                                                               : "a socket or device"));
    return std::nullopt;
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    findings.add(file, fmt::format("cannot be opened: {}; check its permissions", std::strerror(errno)));
    return std::nullopt;
  }
  ::close(fd);
  return static_cast<std::int64_t>(facts.st_size);
}

__extension__ typedef __int128 Int128;

/// Deflate makes at most 258 bytes of two bits.
constexpr int most_deflated = 1032;

/// Size of header and data in bytes; 128 bits hold the product of any seven 16-bit dimensions.
Int128 bytes_needed(const NiftiHeader& header) {
  Int128 bytes = header.bytes_per_value();
  for (std::size_t i = 1; i < 8; ++i) bytes *= header.dim[i];
  return bytes + header.vox_offset;
}

std::string decimal(Int128 value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value > 0);
  return digits;
}

void check_size(const NiftiHeader& header, std::int64_t bytes, const std::string& file, Findings& findings,
                std::vector<std::string>& warnings) {
  const Int128 needed = bytes_needed(header);
  if (header.vox_offset > bytes)
    findings.add(file,
                 fmt::format("vox_offset = {} is past the end ({} bytes): the file is truncated or its header damaged; "
                             "copy or convert it again",
                             header.vox_offset, bytes));
  else if (bytes < needed)
    findings.add(file,
                 fmt::format("holds {} bytes, but its header (dim {}, {} bits a voxel, vox_offset {}) asks for {}: the "
                             "file is truncated or its header damaged; copy or convert it again",
                             bytes, fmt::join(header.dim.begin() + 1, header.dim.begin() + 1 + header.dim[0], " x "),
                             header.bitpix, header.vox_offset, decimal(needed)));
  else if (bytes > needed)
    warnings.push_back(
        fmt::format("{}: {} bytes after the data are ignored", file, decimal(static_cast<Int128>(bytes) - needed)));
}

}  // namespace

bool has_nifti_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".nii") || name.ends_with(".nii.gz");
}

std::string nifti_stem(const fs::path& path) {
  std::string name = path.filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (name.ends_with(".nii")) name.resize(name.size() - 4);
  return name;
}

std::optional<NiftiFileInfo> check_nifti_file(const fs::path& path, Findings& findings,
                                              std::vector<std::string>& warnings, GzipCheck gzip_check) {
  const std::string file = path.string();
  if (!has_nifti_name(path)) {
    findings.add(file,
                 "its name ends in neither .nii nor .nii.gz; only single-file NIfTI is read: convert or rename it");
    return std::nullopt;
  }
  const auto size = regular_file_size(path, findings);
  if (!size) return std::nullopt;
  NiftiFileInfo info;
  info.path = path;
  info.gzipped = path.extension() == ".gz";

  try {
    GzipStream stream(path);
    if (stream.gzipped() != info.gzipped) {
      findings.add(file, info.gzipped ? "is named .gz, but is not gzip-compressed; rename it to .nii or compress it"
                                      : "is gzip-compressed, but not named .gz; rename it to .nii.gz");
      return std::nullopt;
    }
    std::vector<std::uint8_t> head(nifti2_header_bytes);
    head.resize(stream.read(head.data(), head.size()));
    const auto header = parse_nifti_header(head, file, findings);
    if (!header) return std::nullopt;
    info.header = *header;
    const auto affine = nifti_affine(*header, file, findings, warnings);
    if (affine) info.affine = *affine;
    const std::size_t before = findings.lines().size();
    if (!info.gzipped)
      check_size(*header, *size, file, findings, warnings);
    else if (gzip_check == GzipCheck::whole ||
             (gzip_check == GzipCheck::plausible && bytes_needed(*header) > Int128{*size} * most_deflated))
      check_size(*header, stream.skip_to_end(), file, findings, warnings);
    if (stream.trailing_bytes() > 0)
      warnings.push_back(fmt::format("{}: {} bytes after the gzip stream are ignored", file, stream.trailing_bytes()));
    if (!affine || findings.lines().size() != before) return std::nullopt;
  } catch (const InputError& error) {
    findings.add(file, error.what());
    return std::nullopt;
  }
  return info;
}

bool same_nifti_grid(const NiftiFileInfo& a, const NiftiFileInfo& b, std::string& difference) {
  const auto extent = a.header.extent(), other = b.header.extent();
  if (extent != other) {
    difference = fmt::format("shape {} against {}", fmt::join(extent, " x "), fmt::join(other, " x "));
    return false;
  }
  const double distance = corner_distance_mm(extent, a.affine, b.affine);
  difference = fmt::format("corners {:.3g} mm apart (allowed: {} mm)", distance, same_grid_mm);
  return distance <= same_grid_mm;
}

}  // namespace perfpipe
