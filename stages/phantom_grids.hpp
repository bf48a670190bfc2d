// Phantoms without an anatomy: tiles of one tissue each, by column, row and slice.
#pragma once

#include "stages/phantom_anatomy.hpp"

namespace perfpipe {

/// In the style of the phantom of Kudo et al., Radiology 267:201 (2013): MTT 24 to 3.4286 s by column, delay 0 to 3 s
/// by row, CBV 1 to 5 ml/100g in five slices for each of three residue functions: exponential, linear, box. Below the
/// tiles stand a strip of artery on the left and one of vein on the right.
Head draw_kudo_grid(const PhantomOptions& options);

/// Conditions of the deconvolution study: residue function and tissue by column, delay and dispersion by row, SNR by
/// slice.
Head draw_study_grid(const PhantomOptions& options);

std::array<std::int64_t, 3> kudo_extent(const PhantomOptions& options);
std::array<std::int64_t, 3> study_extent(const PhantomOptions& options);

}  // namespace perfpipe
