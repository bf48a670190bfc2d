// The datasets that stages exchange, declared once.
#pragma once

#include "core/parameters.hpp"
#include "core/store.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace perfpipe {

/// Tissue concentration at the acquired times (z, y, x, frame): ΔR2* (CAPLEX Q.EL1.009) in 1/s (MR), HU (CT); 0 outside
/// the mask.
inline DatasetSpec concentration_spec() {
  return {"concentration",
          {"z", "y", "x", "frame"},
          "1/s or HU",
          ElementType::float32,
          "tissue concentration at the acquired times (CAPLEX Q.IC1.001)"};
}
/// Times of these frames in s, from the first acquired one.
inline DatasetSpec frame_times_spec() {
  return {"frame_times", {"frame"}, "s", ElementType::float64, "acquisition times of the frames"};
}
/// 1 inside the brain.
inline DatasetSpec brain_mask_spec() {
  return {"brain_mask", {"z", "y", "x"}, "1", ElementType::uint8, "voxels that are evaluated"};
}
/// Tissue concentration on the uniform grid (z, y, x, time); 0 outside the mask. `samples` 0: any.
inline DatasetSpec tissue_curves_spec(std::int64_t samples = 0) {
  DatasetSpec spec{"tissue_curves",
                   {"z", "y", "x", "time"},
                   "1/s or HU",
                   ElementType::float32,
                   "tissue concentration on a uniform time grid"};
  spec.samples = samples;
  return spec;
}
/// Arterial input function on the grid of the tissue curves, in their unit (CAPLEX P.AE1.001).
inline DatasetSpec aif_spec(std::int64_t samples = 0) {
  DatasetSpec spec{"aif", {"time"}, "1/s or HU", ElementType::float32, "arterial input function"};
  spec.samples = samples;
  return spec;
}
/// A perfusion map (z, y, x); 0 outside the mask.
inline DatasetSpec map_spec(Parameter p) {
  return {std::string(name(p)),
          {"z", "y", "x"},
          std::string(facts(p).units),
          ElementType::float32,
          std::string(facts(p).long_name)};
}
/// How far the networks of an ensemble differ: their standard deviation (z, y, x); 0 outside the mask.
inline DatasetSpec spread_spec(Parameter p) {
  return {std::string(name(p)) + "_spread",
          {"z", "y", "x"},
          std::string(facts(p).units),
          ElementType::float32,
          "standard deviation of the networks' estimates of " + std::string(facts(p).label)};
}
inline std::vector<DatasetSpec> map_specs() {
  std::vector<DatasetSpec> specs;
  for (Parameter p : all_parameters) specs.push_back(map_spec(p));
  return specs;
}
/// Salvageable-tissue masks, one for each maker of maps in the order of the metadata's `makers`.
inline DatasetSpec tissue_mask_spec(Parameter p) {
  return {std::string(name(p)) + "_mask",
          {"maker", "z", "y", "x"},
          "1",
          ElementType::uint8,
          "tissue mask by a threshold on " + std::string(facts(p).label)};
}
/// Drawn voxels of a fold: [draw, (series, voxel)], series an index into the metadata's `series`, voxel (z * ny + y) *
/// nx + x.
inline DatasetSpec draws_spec(const std::string& set) {
  return {set + "_draws", {"draw", "field"}, "1", ElementType::int32, "voxels drawn for " + set};
}
/// A trained network: the bytes of its safetensors file.
inline DatasetSpec network_spec() {
  return {"network", {"byte"}, "1", ElementType::uint8, "weights in safetensors format"};
}

/// Training curves of a fold [curve, time], each over its patient's AIF peak, and their targets [curve] in the unit of
/// the fold's parameter.
inline DatasetSpec exemplar_curves_spec() {
  return {"exemplar_curves", {"curve", "time"}, "1", ElementType::float32, "training curves over the AIF's peak"};
}
inline DatasetSpec exemplar_targets_spec() {
  return {"exemplar_targets", {"curve"}, "of the parameter", ElementType::float32, "targets of these curves"};
}
/// Estimates by the nearest training curve (z, y, x): no map for users, a baseline for the evaluation.
inline DatasetSpec nearest_map_spec(Parameter p) {
  auto spec = map_spec(p);
  spec.name = "nearest_" + spec.name;
  spec.long_name += " of the nearest training curve";
  return spec;
}

/// Results of the evaluation: the bytes of tables/results.json.
inline DatasetSpec results_spec() {
  return {"results", {"byte"}, "1", ElementType::uint8, "results of the evaluation as JSON"};
}

/// Key in an artifact's metadata under which a maker of maps says its label ("bsvd", "cnn"), as in output file names.
inline constexpr const char* label_key = "label";

}  // namespace perfpipe
