// What an arterial input function leaves: datasets, metadata, and tables beside the maps.
#pragma once

#include "core/stage.hpp"
#include "stages/aif_quality.hpp"
#include "stages/brain_mask.hpp"
#include "stages/resampling.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace perfpipe {

/// Voxels [voxel, (x, y, z)] whose mean curve is the AIF; none where it comes from a table.
DatasetSpec aif_voxels_spec();

/// An arterial input function and how it came about.
struct AifRecord {
  std::string method;
  TimeGrid grid;
  std::vector<float> curve;         ///< [samples], scaled
  std::vector<std::int64_t> where;  ///< (z · ny + y) · nx + x of its voxels
  double venous_scale = 1.0;
  AifQuality quality;
};

/// Writes `aif` and `aif_voxels` with their metadata, and publishes ..._aif.tsv and ..._aif.json.
void write_aif(StageContext& context, const Extent& extent, const AifRecord& aif);

}  // namespace perfpipe
