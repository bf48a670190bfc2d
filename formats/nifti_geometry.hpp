// Where the voxels of a NIfTI image lie in space.
#pragma once

#include "core/error.hpp"
#include "formats/nifti_header.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// Voxel indices to millimetres: sform if its code is above 0 and it is finite and regular, else a valid qform
/// (warning), else the voxel sizes alone (warning); if none is usable, a finding.
std::optional<Affine> nifti_affine(const NiftiHeader& header, const std::string& file, Findings& findings,
                                   std::vector<std::string>& warnings);

/// |det| of the affine's 3×3 part, in ml.
double voxel_volume_ml(const Affine& affine);

/// Largest distance (mm) between the centres of corresponding corner voxels of two grids of one shape.
double corner_distance_mm(const std::array<std::int64_t, 3>& extent, const Affine& a, const Affine& b);

/// A header for a new image: float32, NIfTI-1, millimetres and seconds, sform (code 1, scanner) from `affine` and no
/// qform. `frames` 1 gives a volume. `repetition_time` in s.
NiftiHeader make_nifti_header(const std::array<std::int64_t, 3>& extent, std::int64_t frames, double repetition_time,
                              const Affine& affine);

/// An affine with voxels of these sizes (mm) along the axes, centred on the origin.
Affine centred_affine(const std::array<std::int64_t, 3>& extent, const std::array<double, 3>& voxel_mm);

}  // namespace perfpipe
