#include "formats/nifti_geometry.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

double determinant(const Affine& m) {
  return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
         m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/// Entries of 1e30 mm are no geometry, and would not fit the float32 of the maps' headers.
bool finite_and_regular(const Affine& m) {
  for (const auto& row : m)
    for (const double x : row)
      if (!(std::abs(x) < 1e30)) return false;
  double product = 1.0;
  for (std::size_t column = 0; column < 3; ++column) product *= std::hypot(m[0][column], m[1][column], m[2][column]);
  // Relative to the voxel sizes: 1e-6 is far beyond any oblique acquisition and far above float32 rounding.
  return product > 0.0 && std::abs(determinant(m)) > 1e-6 * product;
}

bool positive_voxel_sizes(const NiftiHeader& h) { return h.pixdim[1] > 0 && h.pixdim[2] > 0 && h.pixdim[3] > 0; }

/// Method 2 of nifti1.h: rotation by the unit quaternion (a, b, c, d), scaled by the voxel sizes, qfac on the third
/// axis.
std::optional<Affine> qform_matrix(const NiftiHeader& h) {
  const double b = h.quatern_b, c = h.quatern_c, d = h.quatern_d;
  const double square = b * b + c * c + d * d;
  // float32 rounding of a unit quaternion stays under 1e-6.
  if (h.qform_code <= 0 || !(square <= 1.0 + 1e-5) || !positive_voxel_sizes(h)) return std::nullopt;
  const double a = std::sqrt(std::max(0.0, 1.0 - square));
  const double dx = h.pixdim[1], dy = h.pixdim[2], dz = h.pixdim[3] * (h.pixdim[0] < 0.0 ? -1.0 : 1.0);
  return Affine{
      {{(a * a + b * b - c * c - d * d) * dx, 2 * (b * c - a * d) * dy, 2 * (b * d + a * c) * dz, h.qoffset_x},
       {2 * (b * c + a * d) * dx, (a * a + c * c - b * b - d * d) * dy, 2 * (c * d - a * b) * dz, h.qoffset_y},
       {2 * (b * d - a * c) * dx, 2 * (c * d + a * b) * dy, (a * a + d * d - b * b - c * c) * dz, h.qoffset_z}}};
}

Affine scaled(Affine m, double factor) {
  for (auto& row : m)
    for (double& x : row) x *= factor;
  return m;
}

}  // namespace

std::optional<Affine> nifti_affine(const NiftiHeader& header, const std::string& file, Findings& findings,
                                   std::vector<std::string>& warnings) {
  const double mm = header.millimetres();
  std::string why = "sform_code = 0";
  if (header.sform_code > 0) {
    const Affine m = scaled(header.srow, mm);
    if (finite_and_regular(m)) return m;
    why = fmt::format("sform_code = {}, but its matrix is not finite and regular", header.sform_code);
  }
  if (const auto q = qform_matrix(header); q && finite_and_regular(scaled(*q, mm))) {
    warnings.push_back(fmt::format("{}: {}; the geometry is taken from the qform", file, why));
    return scaled(*q, mm);
  }
  why += header.qform_code > 0
             ? fmt::format(", qform_code = {}, but its quaternion, offsets or voxel sizes are not valid",
                           header.qform_code)
             : ", qform_code = 0";
  const Affine sizes{{{header.pixdim[1], 0, 0, 0}, {0, header.pixdim[2], 0, 0}, {0, 0, header.pixdim[3], 0}}};
  if (positive_voxel_sizes(header) && finite_and_regular(scaled(sizes, mm))) {
    warnings.push_back(
        fmt::format("{}: {}; the voxel sizes alone are used: position and orientation are not known", file, why));
    return scaled(sizes, mm);
  }
  findings.add(file, fmt::format("{}, and pixdim[1..3] = {}, {}, {}: no usable geometry; expected an sform, a qform or "
                                 "voxel sizes above 0; convert the image again from its source",
                                 why, header.pixdim[1], header.pixdim[2], header.pixdim[3]));
  return std::nullopt;
}

double voxel_volume_ml(const Affine& affine) { return std::abs(determinant(affine)) / 1000.0; }

double corner_distance_mm(const std::array<std::int64_t, 3>& extent, const Affine& a, const Affine& b) {
  double largest = 0.0;
  for (int corner = 0; corner < 8; ++corner) {
    std::array<double, 3> index{};
    for (std::size_t axis = 0; axis < 3; ++axis)
      index[axis] = (corner >> axis) & 1 ? static_cast<double>(extent[axis] - 1) : 0.0;
    std::array<double, 3> apart{};
    for (std::size_t row = 0; row < 3; ++row) {
      apart[row] = a[row][3] - b[row][3];
      for (std::size_t axis = 0; axis < 3; ++axis) apart[row] += (a[row][axis] - b[row][axis]) * index[axis];
    }
    largest = std::max(largest, std::hypot(apart[0], apart[1], apart[2]));
  }
  return largest;
}

NiftiHeader make_nifti_header(const std::array<std::int64_t, 3>& extent, std::int64_t frames, double repetition_time,
                              const Affine& affine) {
  NiftiHeader header;
  header.dim = {frames > 1 ? 4 : 3, extent[0], extent[1], extent[2], frames, 1, 1, 1};
  header.pixdim[0] = 1.0;
  for (std::size_t axis = 0; axis < 3; ++axis)
    header.pixdim[axis + 1] = std::hypot(affine[0][axis], affine[1][axis], affine[2][axis]);
  header.pixdim[4] = repetition_time;
  header.vox_offset = 352;
  header.xyzt_units = 2 | 8;
  header.sform_code = 1;
  header.srow = affine;
  return header;
}

Affine centred_affine(const std::array<std::int64_t, 3>& extent, const std::array<double, 3>& voxel_mm) {
  Affine affine{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    affine[axis][axis] = voxel_mm[axis];
    affine[axis][3] = -0.5 * static_cast<double>(extent[axis] - 1) * voxel_mm[axis];
  }
  return affine;
}

}  // namespace perfpipe
