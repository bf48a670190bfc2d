// What dense inference says, on every processor alike, of voxels that it cannot estimate.
#pragma once

#include "core/parameters.hpp"

#include <cstdint>

namespace perfpipe {

/// A voxel's place in the volume.
struct VoxelPlace {
  std::int64_t x, y, z;
};

/// Throw InputError.
[[noreturn]] void refuse_curve(const VoxelPlace& place);
[[noreturn]] void refuse_estimate(Parameter parameter, const VoxelPlace& place);

}  // namespace perfpipe
