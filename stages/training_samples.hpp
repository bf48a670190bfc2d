// The samples of a training, gathered from the store.
#pragma once

#include "core/stage.hpp"
#include "model/training.hpp"
#include "stages/input_ranges.hpp"

#include <string>
#include <vector>

namespace perfpipe {

/// One of the two sets of samples, in memory: the curves that its patches touch (each once), and indices into them.
struct SampleSet {
  std::vector<float> curves = std::vector<float>(static_cast<std::size_t>(curve_samples), 0.0f);  // row 0: zeros
  std::vector<std::int32_t> neighbours;
  std::vector<std::int32_t> patient;
  std::vector<float> targets;

  PatchSet view(const std::vector<float>& aifs) const { return {curves, neighbours, patient, aifs, targets}; }
};

/// The AIFs [series, 70] of the named series, of the task's port `aif`.
std::vector<float> read_aifs(const StageContext& context, const std::vector<std::string>& series);

/// Gathers the curves of the drawn voxels' patches, slice by slice: what stays in memory is bounded by the draws.
/// `draws` are pairs of series and voxel, sorted; targets are those of the task's parameter, saturated to the paper's
/// range.
SampleSet read_samples(const StageContext& context, const std::vector<std::string>& series,
                       const std::vector<std::int32_t>& draws);

/// What the network met: how the patients were acquired, and the size of the drawn voxels' curves.
InputRanges training_ranges(const StageContext& context, const std::vector<std::string>& series, const PatchSet& set);

}  // namespace perfpipe
