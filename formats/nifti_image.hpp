// Voxel values of NIfTI files, in and out. Arrays are float32 in the order (z, y, x[, t]), the last fastest.
#pragma once

#include "formats/nifti_file.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// Reads slabs of slices of a volume, a series (X,Y,Z,T) or a series (X,Y,Z,1,T): any accepted type, either byte order,
/// NIfTI-1 and -2, plain or gzip. Memory: the slab asked for, and at most 32 frames of it as stored. A gzip'd series is
/// inflated from its start for every slab: ask for one that holds all (see `slices_within`), or inflate_into() first.
class NiftiReader {
 public:
  /// Checks the header (not a gzip stream's CRC: `check_nifti_file` does, or check_end()). Throws InputError naming the
  /// file.
  explicit NiftiReader(const std::filesystem::path& path);
  ~NiftiReader();
  NiftiReader(NiftiReader&&) noexcept;
  NiftiReader& operator=(NiftiReader&&) noexcept;

  const NiftiFileInfo& info() const;
  std::array<std::int64_t, 3> extent() const { return info().header.extent(); }
  std::int64_t frames() const { return info().header.frames(); }

  /// Values value·scl_slope + scl_inter (computed in double, rounded once) of the slices [z_first, z_first + z_count),
  /// in the order (z, y, x, t). Throws InputError naming the file if it ends early or cannot be read.
  template <class Vector>
  void read_slab(std::int64_t z_first, std::int64_t z_count, Vector& values, int threads = 1) {
    values.resize(slab_values(z_first, z_count));
    read_slab(z_first, z_count, std::span<float>(values), threads);
  }

  /// Goes to the end of the file: a warning for what lies behind the data. Throws InputError naming the file if the
  /// gzip stream is damaged there (its CRC and length come last).
  std::vector<std::string> check_end();

  /// Inflates a gzip'd file into a nameless file in `folder` and reads from there on; plain files are left as they are.
  /// Throws InputError if the file is damaged, IoError if the folder does not take it.
  void inflate_into(const std::filesystem::path& folder);

  /// How many slices (at least 1, at most all) fit into this many bytes as float32.
  std::int64_t slices_within(std::size_t bytes) const;

 private:
  std::size_t slab_values(std::int64_t z_first, std::int64_t z_count) const;
  void read_slab(std::int64_t z_first, std::int64_t z_count, std::span<float> values, int threads);

  struct State;
  std::unique_ptr<State> state_;
};

// Writing: NIfTI-1, little-endian, through ITK; then checked against the values, geometry patched in, synced and
// renamed. A name that ends in .gz gives gzip (no name and no time in it: same values, same bytes). The extent is that
// of `like`, as is the geometry. All failures are IoError naming the path and the reason, and leave nothing behind.

/// A volume (z, y, x).
void write_nifti_volume(const std::filesystem::path& path, std::span<const float> values, const NiftiHeader& like,
                        const std::string& description);
void write_nifti_volume(const std::filesystem::path& path, std::span<const std::uint8_t> values,
                        const NiftiHeader& like, const std::string& description);

/// A series (z, y, x, t), t fastest as everywhere in the program; written as (X,Y,Z,T) with the frame distance of
/// `like`.
void write_nifti_series(const std::filesystem::path& path, std::span<const float> values, const NiftiHeader& like,
                        const std::string& description);

}  // namespace perfpipe
