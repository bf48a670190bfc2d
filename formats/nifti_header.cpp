#include "formats/nifti_header.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace perfpipe {
namespace {

static_assert(std::endian::native == std::endian::little, "byte order of the host is taken to be little-endian");

/// Reads fields at byte offsets, in the file's byte order.
class FieldReader {
 public:
  FieldReader(std::span<const std::uint8_t> bytes, bool swapped) : bytes_(bytes), swapped_(swapped) {}
  template <class T>
  T get(std::size_t offset) const {
    std::array<std::uint8_t, sizeof(T)> raw;
    std::memcpy(raw.data(), bytes_.data() + offset, sizeof(T));
    if (swapped_) std::reverse(raw.begin(), raw.end());
    return std::bit_cast<T>(raw);
  }
  std::string text(std::size_t offset, std::size_t length) const {
    const auto* begin = reinterpret_cast<const char*>(bytes_.data() + offset);
    return std::string(begin, strnlen(begin, length));
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool swapped_;
};

/// Offsets and field types that differ between the two versions.
struct Raw {
  std::array<std::int64_t, 8> dim{};
  int datatype = 0;
  int bitpix = 0;
  double vox_offset = 0.0;
};

template <class Real>
void read_transforms(const FieldReader& field, std::size_t quaternion, std::size_t srow, NiftiHeader& header) {
  constexpr std::size_t step = sizeof(Real);
  header.quatern_b = field.get<Real>(quaternion);
  header.quatern_c = field.get<Real>(quaternion + step);
  header.quatern_d = field.get<Real>(quaternion + 2 * step);
  header.qoffset_x = field.get<Real>(quaternion + 3 * step);
  header.qoffset_y = field.get<Real>(quaternion + 4 * step);
  header.qoffset_z = field.get<Real>(quaternion + 5 * step);
  for (std::size_t row = 0; row < 3; ++row)
    for (std::size_t column = 0; column < 4; ++column)
      header.srow[row][column] = field.get<Real>(srow + (4 * row + column) * step);
}

Raw read_version_1(const FieldReader& field, NiftiHeader& header) {
  Raw raw;
  for (std::size_t i = 0; i < 8; ++i) {
    raw.dim[i] = field.get<std::int16_t>(40 + 2 * i);
    header.pixdim[i] = field.get<float>(76 + 4 * i);
  }
  raw.datatype = field.get<std::int16_t>(70);
  raw.bitpix = field.get<std::int16_t>(72);
  raw.vox_offset = field.get<float>(108);
  header.scl_slope = field.get<float>(112);
  header.scl_inter = field.get<float>(116);
  header.xyzt_units = field.get<std::uint8_t>(123);
  header.descrip = field.text(148, 80);
  header.qform_code = field.get<std::int16_t>(252);
  header.sform_code = field.get<std::int16_t>(254);
  read_transforms<float>(field, 256, 280, header);
  return raw;
}

Raw read_version_2(const FieldReader& field, NiftiHeader& header) {
  Raw raw;
  for (std::size_t i = 0; i < 8; ++i) {
    raw.dim[i] = field.get<std::int64_t>(16 + 8 * i);
    header.pixdim[i] = field.get<double>(104 + 8 * i);
  }
  raw.datatype = field.get<std::int16_t>(12);
  raw.bitpix = field.get<std::int16_t>(14);
  raw.vox_offset = static_cast<double>(field.get<std::int64_t>(168));
  header.scl_slope = field.get<double>(176);
  header.scl_inter = field.get<double>(184);
  header.descrip = field.text(240, 80);
  header.qform_code = field.get<std::int32_t>(344);
  header.sform_code = field.get<std::int32_t>(348);
  header.xyzt_units = field.get<std::int32_t>(500);
  read_transforms<double>(field, 352, 400, header);
  return raw;
}

/// Bits of an accepted type; 0 for all others.
int bits_of(int datatype) {
  switch (static_cast<NiftiType>(datatype)) {
    case NiftiType::uint8:
    case NiftiType::int8:
      return 8;
    case NiftiType::int16:
    case NiftiType::uint16:
      return 16;
    case NiftiType::int32:
    case NiftiType::uint32:
    case NiftiType::float32:
      return 32;
    case NiftiType::float64:
    case NiftiType::int64:
    case NiftiType::uint64:
      return 64;
  }
  return 0;
}

const char* refused_type(int datatype) {
  switch (datatype) {
    case 1:
      return " (binary)";
    case 32:
    case 1792:
    case 2048:
      return " (complex)";
    case 128:
    case 2304:
      return " (RGB)";
    case 1536:
      return " (float128)";
    default:
      return "";
  }
}

/// Version and byte order from sizeof_hdr, and that the magic says "single file"; version 0 with a finding otherwise.
int recognise(std::span<const std::uint8_t> bytes, const std::string& file, bool& swapped, Findings& findings) {
  if (bytes.size() < nifti1_header_bytes) {
    findings.add(file, fmt::format("holds {} bytes; a NIfTI header has {} (NIfTI-1) or {} (NIfTI-2): the file is "
                                   "truncated or no NIfTI; copy or convert it again",
                                   bytes.size(), nifti1_header_bytes, nifti2_header_bytes));
    return 0;
  }
  for (const bool swap : {false, true}) {
    const FieldReader field(bytes, swap);
    const auto size = field.get<std::int32_t>(0);
    if (size != static_cast<std::int32_t>(nifti1_header_bytes) &&
        size != static_cast<std::int32_t>(nifti2_header_bytes))
      continue;
    swapped = swap;
    const int version = size == static_cast<std::int32_t>(nifti1_header_bytes) ? 1 : 2;
    if (version == 2 && bytes.size() < nifti2_header_bytes) {
      findings.add(file, fmt::format("holds {} bytes; a NIfTI-2 header has {}: the file is truncated; copy it again",
                                     bytes.size(), nifti2_header_bytes));
      return 0;
    }
    const std::string magic = field.text(version == 1 ? 344 : 4, 4);
    if (magic == (version == 1 ? "n+1" : "n+2")) return version;
    if (magic == (version == 1 ? "ni1" : "ni2"))
      findings.add(file,
                   fmt::format("magic = \"{}\": the header of a .hdr/.img pair; only single files (.nii, .nii.gz) "
                               "are read; convert it, for example with nifti_tool or FSL's fslchfiletype",
                               magic));
    else
      findings.add(file,
                   "magic is neither \"n+1\" nor \"n+2\" (an ANALYZE 7.5 header?); only NIfTI-1 and NIfTI-2 single "
                   "files are read; convert it to .nii");
    return 0;
  }
  const auto found = FieldReader(bytes, false).get<std::int32_t>(0);
  findings.add(file,
               fmt::format("sizeof_hdr = {}: expected 348 (NIfTI-1) or 540 (NIfTI-2) in either byte order; this is "
                           "no NIfTI file",
                           found));
  return 0;
}

/// Shape rules: dim[0] 1 to 7, every dimension 1 to max_nifti_dimension, (X,Y,Z[,T]) or (X,Y,Z,1,T).
bool check_shape(NiftiHeader& header, const std::string& file, Findings& findings) {
  auto& dim = header.dim;
  if (dim[0] < 1 || dim[0] > 7) {
    findings.add(file, fmt::format("dim[0] = {}: expected 1 to 7 dimensions; the header is damaged", dim[0]));
    return false;
  }
  bool valid = true;
  for (std::size_t i = 1; i < 8; ++i) {
    if (static_cast<std::int64_t>(i) > dim[0]) {
      dim[i] = 1;  // the standard leaves these undefined
    } else if (dim[i] < 1 || dim[i] > max_nifti_dimension) {
      findings.add(file, fmt::format("dim[{}] = {}: expected 1 to {}; the header is damaged or the image too large", i,
                                     dim[i], max_nifti_dimension));
      valid = false;
    }
  }
  if (valid && (dim[6] > 1 || dim[7] > 1 || (dim[5] > 1 && dim[4] > 1))) {
    findings.add(file,
                 fmt::format("dim = {}: expected (X,Y,Z), (X,Y,Z,T) or (X,Y,Z,1,T); split the file into one series "
                             "each",
                             fmt::join(dim.begin() + 1, dim.begin() + 1 + dim[0], " x ")));
    return false;
  }
  return valid;
}

template <class T>
void put(std::span<std::uint8_t> bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

}  // namespace

std::array<std::int64_t, 3> NiftiHeader::extent() const { return {dim[1], dim[2], dim[3]}; }

std::int64_t NiftiHeader::frames() const { return dim[4] > 1 ? dim[4] : dim[5]; }

double NiftiHeader::stored_frame_distance() const { return dim[4] == 1 && dim[5] > 1 ? pixdim[5] : pixdim[4]; }

std::optional<double> NiftiHeader::frame_distance_s() const {
  const int unit = xyzt_units & 0x38;
  const double seconds = unit == 8 ? 1.0 : unit == 16 ? 1e-3 : unit == 24 ? 1e-6 : 0.0;
  const double distance = stored_frame_distance() * seconds;
  if (!std::isfinite(distance) || distance <= 0.0) return std::nullopt;
  return distance;
}

float NiftiHeader::ceiling() const {
  if ((scl_slope != 0.0 && scl_slope != 1.0) || (scl_slope == 1.0 && scl_inter != 0.0))
    return std::numeric_limits<float>::infinity();
  switch (datatype) {
    case NiftiType::uint8:
      return 255.0f;
    case NiftiType::int8:
      return 127.0f;
    case NiftiType::int16:
      return 32767.0f;
    case NiftiType::uint16:
      return 65535.0f;
    default:
      return std::numeric_limits<float>::infinity();
  }
}

double NiftiHeader::millimetres() const {
  const int unit = xyzt_units & 0x07;
  return unit == 1 ? 1e3 : unit == 3 ? 1e-3 : 1.0;
}

std::optional<NiftiHeader> parse_nifti_header(std::span<const std::uint8_t> bytes, const std::string& file,
                                              Findings& findings) {
  NiftiHeader header;
  header.version = recognise(bytes, file, header.swapped, findings);
  if (header.version == 0) return std::nullopt;
  const FieldReader field(bytes, header.swapped);
  const Raw raw = header.version == 1 ? read_version_1(field, header) : read_version_2(field, header);
  header.dim = raw.dim;
  bool valid = check_shape(header, file, findings);
  const auto refuse = [&](const std::string& what) {
    findings.add(file, what);
    valid = false;
  };

  const int bits = bits_of(raw.datatype);
  if (bits == 0)
    refuse(fmt::format("datatype = {}{}: expected 8 to 64 bit integers, float32 or float64; convert the image",
                       raw.datatype, refused_type(raw.datatype)));
  else if (raw.bitpix != bits)
    refuse(fmt::format("bitpix = {}: datatype {} has {} bits; the header is damaged", raw.bitpix, raw.datatype, bits));
  header.datatype = static_cast<NiftiType>(raw.datatype);
  header.bitpix = bits;

  const double first = header.version == 1 ? 352 : 544;
  const double least = header.version == 1 ? 352 : 540;
  if (!(raw.vox_offset >= least && raw.vox_offset < 0x1p53) || raw.vox_offset != std::floor(raw.vox_offset))
    refuse(
        fmt::format("vox_offset = {}: expected a whole number of at least {} (commonly {}), where the data start; the "
                    "header is damaged",
                    raw.vox_offset, least, first));
  else
    header.vox_offset = static_cast<std::int64_t>(raw.vox_offset);

  if (!std::isfinite(header.scl_slope) || !std::isfinite(header.scl_inter))
    refuse(
        fmt::format("scl_slope = {}, scl_inter = {}: expected finite numbers (slope 0 for unscaled data); set them "
                    "right, for example with nifti_tool",
                    header.scl_slope, header.scl_inter));
  if (!valid) return std::nullopt;
  return header;
}

void patch_nifti_header(std::span<std::uint8_t> bytes, const NiftiHeader& like, std::string_view description) {
  for (std::size_t i = 0; i < 4; ++i) put(bytes, 76 + 4 * i, static_cast<float>(like.pixdim[i]));
  put(bytes, 76 + 4 * 4, static_cast<float>(like.stored_frame_distance()));
  put(bytes, 112, 1.0f);
  put(bytes, 116, 0.0f);
  put(bytes, 123, static_cast<std::uint8_t>(like.xyzt_units));
  char text[80] = {};
  std::memcpy(text, description.data(), std::min<std::size_t>(description.size(), 79));
  std::memcpy(bytes.data() + 148, text, sizeof text);
  put(bytes, 252, static_cast<std::int16_t>(like.qform_code));
  put(bytes, 254, static_cast<std::int16_t>(like.sform_code));
  const double quaternion[6] = {like.quatern_b, like.quatern_c, like.quatern_d,
                                like.qoffset_x, like.qoffset_y, like.qoffset_z};
  for (std::size_t i = 0; i < 6; ++i) put(bytes, 256 + 4 * i, static_cast<float>(quaternion[i]));
  for (std::size_t row = 0; row < 3; ++row)
    for (std::size_t column = 0; column < 4; ++column)
      put(bytes, 280 + 16 * row + 4 * column, static_cast<float>(like.srow[row][column]));
}

}  // namespace perfpipe
