// The header of a NIfTI-1 or NIfTI-2 file, decoded and judged by our own code: libraries read a wrong header as good
// data. Field names are the standard's (nifti1.h and nifti2.h, https://nifti.nimh.nih.gov).
#pragma once

#include "core/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace perfpipe {

/// Rows of the 3×4 matrix that takes voxel indices (i, j, k) to millimetres (x, y, z).
using Affine = std::array<std::array<double, 4>, 3>;

inline constexpr std::size_t nifti1_header_bytes = 348;
inline constexpr std::size_t nifti2_header_bytes = 540;
/// Largest dimension that is accepted: maps are written as NIfTI-1, whose dimensions are 16-bit.
inline constexpr std::int64_t max_nifti_dimension = 32767;

/// The datatype codes that are accepted.
enum class NiftiType : int {
  uint8 = 2,
  int16 = 4,
  int32 = 8,
  float32 = 16,
  float64 = 64,
  int8 = 256,
  uint16 = 512,
  uint32 = 768,
  int64 = 1024,
  uint64 = 1280
};

struct NiftiHeader {
  int version = 1;       ///< 1 or 2
  bool swapped = false;  ///< big-endian
  std::array<std::int64_t, 8> dim{};
  NiftiType datatype = NiftiType::float32;
  int bitpix = 32;
  std::array<double, 8> pixdim{};
  std::int64_t vox_offset = 0;
  double scl_slope = 0.0;  ///< 0: unscaled
  double scl_inter = 0.0;
  int xyzt_units = 0;
  int qform_code = 0;
  int sform_code = 0;
  double quatern_b = 0.0, quatern_c = 0.0, quatern_d = 0.0;
  double qoffset_x = 0.0, qoffset_y = 0.0, qoffset_z = 0.0;
  Affine srow{};  ///< as stored, in the header's own unit
  std::string descrip;

  /// Voxels in x, y, z (1 where the header has fewer dimensions).
  std::array<std::int64_t, 3> extent() const;
  /// Frames: T of (X,Y,Z,T) and of (X,Y,Z,1,T); 1 for a volume.
  std::int64_t frames() const;
  std::int64_t bytes_per_value() const { return bitpix / 8; }
  /// Distance of frames as stored (pixdim[4], or pixdim[5] for (X,Y,Z,1,T)), in the header's unit.
  double stored_frame_distance() const;
  /// The same in seconds; nothing if the unit is not a time, or the value is not a finite number above 0.
  std::optional<double> frame_distance_s() const;
  /// The largest value that the file can hold: a sample that reaches it is saturated. Infinite for floating point, for
  /// 32 bits and more, and for scaled values: who scales fits the largest value of the series to that of the type.
  float ceiling() const;
  /// Millimetres in the header's length unit (1 where it names none).
  double millimetres() const;
};

/// Decodes the first bytes of a file (348 suffice for NIfTI-1, 540 for NIfTI-2). Every rule that needs the header alone
/// is checked: magic, dim, shape, datatype, bitpix, vox_offset, scaling; each breach is a finding of `file`.
std::optional<NiftiHeader> parse_nifti_header(std::span<const std::uint8_t> bytes, const std::string& file,
                                              Findings& findings);

/// Copies the geometry of `like` (both codes, both transforms, pixdim with qfac, units, distance of frames) and
/// `description` into the little-endian NIfTI-1 header in `bytes` (at least 348), and makes it unscaled. The rest of
/// the header stays. Of the description the first 79 bytes are kept.
void patch_nifti_header(std::span<std::uint8_t> bytes, const NiftiHeader& like, std::string_view description);

}  // namespace perfpipe
