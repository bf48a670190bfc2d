// Maps by the reference engine, which the dense engine is held to.
#pragma once

#include "model/dense_inference.hpp"
#include "model/inference.hpp"

#include <span>
#include <vector>

namespace perfpipe {

/// The map [slices, ny, nx] of a slab, patch by patch: as DenseNetwork::estimate() up to rounding, and with the same
/// errors. `aif` [70].
std::vector<float> reference_maps(const ReferenceEngine& engine, const CurveSlab& slab, std::span<const float> aif,
                                  int threads);

}  // namespace perfpipe
