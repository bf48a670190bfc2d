// neighbours: every voxel gets the target of the most similar training curve: what a network must do better.
#include "core/parallel.hpp"
#include "core/stage.hpp"
#include "model/scaling.hpp"
#include "stages/maps.hpp"
#include "stages/nearest.hpp"

#include <algorithm>
#include <map>

namespace perfpipe {
namespace {

struct NeighboursOptions {};

class Neighbours final : public StageWith<NeighboursOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "neighbours";
    type.scope = Scope::patient;
    type.version = 2;
    type.reference = "Cover and Hart, IEEE Trans Inf Theory 13:21 (1967)";
    type.summary =
        "A baseline for the evaluation: gives each voxel the target of the nearest training curve (`exemplars` of the "
        "fold that left this patient out), by Euclidean distance of curves over the AIF's peak.";
    return type;
  }
  static OptionTable<NeighboursOptions> table() { return {}; }

  Ports ports() const override {
    Ports ports{{{tissue_curves_spec()},
                 {aif_spec()},
                 {brain_mask_spec()},
                 {exemplar_curves_spec()},
                 {exemplar_targets_spec()}},
                {}};
    for (Parameter p : all_parameters) ports.writes.push_back(nearest_map_spec(p));
    return ports;
  }
  bool accepts_failed_inputs() const override { return true; }
  double cost(const TaskInfo&) const override { return 2.0; }

  void run(StageContext& context) const override {
    const auto folds = context.store().inputs("exemplar_curves");
    if (folds.empty()) throw TaskFailure("no exemplars are there for this patient: their tasks failed");
    const auto tissue = context.store().open("tissue_curves");
    const auto mask = context.store().open("brain_mask");
    const float factor = input_factor(context.store().open("aif").read<float>("aif"), 1.0);
    const auto dims = tissue.dims("tissue_curves");
    const std::int64_t plane = dims[1] * dims[2];
    const auto samples = static_cast<std::size_t>(dims[3]);
    std::map<Parameter, NearestCurves> known;
    for (const auto& fold : folds) {
      const auto reader = context.store().open(fold);
      known.emplace(fold.task.parameter, NearestCurves(reader.read<float>("exemplar_curves"),
                                                       reader.read<float>("exemplar_targets"), dims[3]));
      context.output().create(nearest_map_spec(fold.task.parameter), {dims[0], dims[1], dims[2]});
    }
    for (std::int64_t z = 0; z < dims[0]; ++z) {
      if (context.stop_requested()) throw Stopped();
      const auto slice = tissue.read_slab<float>("tissue_curves", z, 1);
      const auto inside = mask.read_slab<std::uint8_t>("brain_mask", z, 1);
      std::vector<std::size_t> voxels;
      std::vector<float> curves;
      for (std::size_t v = 0; v < static_cast<std::size_t>(plane); ++v) {
        if (inside[v] == 0) continue;
        voxels.push_back(v);
        for (std::size_t t = 0; t < samples; ++t) curves.push_back(factor * slice[v * samples + t]);
      }
      for (const auto& [parameter, nearest] : known) {
        std::vector<float> map(static_cast<std::size_t>(plane), 0.0f);
        parallel_blocks(
            voxels.size(), 128, context.job().threads, [&, &search = nearest](std::size_t begin, std::size_t end) {
              const auto found = search.nearest_targets({curves.data() + begin * samples, (end - begin) * samples});
              for (std::size_t i = begin; i < end; ++i) map[voxels[i]] = found[i - begin];
            });
        context.output().write_slab<float>(nearest_map_spec(parameter).name, z, map);
      }
    }
    context.output().set_metadata({{"warnings", context.warnings()}});
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(neighbours, Neighbours)

}  // namespace perfpipe
