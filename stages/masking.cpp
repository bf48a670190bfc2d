// masking: salvageable-tissue masks and their volumes, from the maps of every maker.
#include "core/stage.hpp"
#include "stages/maps.hpp"

#include <algorithm>

namespace perfpipe {
namespace {

struct MaskingOptions {
  double cbf_below = 50.2;
  double tmax_above = 4.0;
};

class Masking final : public StageWith<MaskingOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "masking";
    type.scope = Scope::patient;
    type.summary =
        "Masks of salvageable tissue inside the brain mask: CBF below and Tmax above a threshold (strict), with "
        "volumes. For research use.";
    type.reference = "Ho et al., ICPR 2016, section V.D";
    return type;
  }
  static OptionTable<MaskingOptions> table() {
    OptionTable<MaskingOptions> t;
    t.number("cbf_below", &MaskingOptions::cbf_below, {0.0, 1600.0, true}, "ml/100g/min", "CBF under this is marked");
    t.number("tmax_above", &MaskingOptions::tmax_above, {0.0, 69.0}, "s", "Tmax over this is marked");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (Parameter p : {Parameter::cbf, Parameter::tmax}) ports.reads.push_back({map_spec(p), "", true});
    ports.reads.push_back({brain_mask_spec()});
    ports.writes = {tissue_mask_spec(Parameter::cbf), tissue_mask_spec(Parameter::tmax)};
    return ports;
  }
  bool accepts_failed_inputs() const override { return true; }
  double cost(const TaskInfo&) const override { return 0.1; }

  void run(StageContext& context) const override {
    const auto brain = context.store().open("brain_mask");
    const auto dims = brain.dims("brain_mask");
    const auto voxel_ml = brain.metadata().at("voxel_volume_ml").get<double>();
    nlohmann::json metadata{{"cbf_below", options_.cbf_below}, {"tmax_above", options_.tmax_above}};
    for (Parameter p : {Parameter::cbf, Parameter::tmax}) {
      const std::string map(name(p));
      std::vector<ArtifactReader> makers;
      for (const auto& input : context.store().inputs(map)) {
        auto reader = context.store().open(input);
        if (reader.has(map)) makers.push_back(std::move(reader));
      }
      nlohmann::json labels = nlohmann::json::array(), volumes = nlohmann::json::array();
      std::vector<std::uint8_t> marked;
      for (const auto& maker : makers) {
        std::int64_t voxels = 0;
        const std::int64_t step = context.slab_slices(dims[1] * dims[2] * 6);
        for (std::int64_t z = 0; z < dims[0]; z += step) {
          const std::int64_t count = std::min(step, dims[0] - z);
          const auto values = maker.read_slab<float>(map, z, count);
          const auto inside = brain.read_slab<std::uint8_t>("brain_mask", z, count);
          for (std::size_t v = 0; v < values.size(); ++v) {
            const bool hit = inside[v] != 0 &&
                             (p == Parameter::cbf ? values[v] < options_.cbf_below : values[v] > options_.tmax_above);
            marked.push_back(hit);
            voxels += hit;
          }
        }
        labels.push_back(maker.metadata().at(label_key));
        volumes.push_back(static_cast<double>(voxels) * voxel_ml);
      }
      context.output().write<std::uint8_t>(
          tissue_mask_spec(p), {static_cast<std::int64_t>(makers.size()), dims[0], dims[1], dims[2]}, marked);
      metadata["makers"][map] = labels;
      metadata["volumes_ml"][map] = volumes;
    }
    context.output().set_metadata(metadata);
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(masking, Masking)

}  // namespace perfpipe
