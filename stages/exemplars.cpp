// exemplars: some of a fold's training curves with their targets, for the predictor that a network must beat.
#include "core/random.hpp"
#include "core/stage.hpp"
#include "model/scaling.hpp"
#include "stages/maps.hpp"

#include <algorithm>
#include <array>

namespace perfpipe {
namespace {

struct ExemplarsOptions {
  std::int64_t samples = 2000;
  std::string targets;
};

class Exemplars final : public StageWith<ExemplarsOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "exemplars";
    type.scope = Scope::fold;
    type.reference = "Cover and Hart, IEEE Trans Inf Theory 13:21 (1967)";
    type.summary =
        "Keeps a random part of each fold's training draws as curves with their targets, for `neighbours`. Nothing of "
        "the held-out patient is in them.";
    return type;
  }
  static OptionTable<ExemplarsOptions> table() {
    OptionTable<ExemplarsOptions> t;
    t.integer("samples", &ExemplarsOptions::samples, {1, 100000}, "", "curves kept, at most the training draws");
    t.text("targets", &ExemplarsOptions::targets,
           "name of the stage whose maps are the targets; empty: the latest before this one");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (const auto& spec : map_specs()) ports.reads.push_back({spec, options_.targets});
    for (const auto& spec : {tissue_curves_spec(), aif_spec(), draws_spec("training")}) ports.reads.push_back({spec});
    ports.writes = {exemplar_curves_spec(), exemplar_targets_spec()};
    return ports;
  }
  bool uses_seed() const override { return true; }
  bool accepts_failed_inputs() const override { return true; }
  double cost(const TaskInfo&) const override { return 0.3; }

  void run(StageContext& context) const override {
    const auto& task = context.task();
    if (context.store().inputs("training_draws").empty())
      throw TaskFailure("its binning failed, so there is nothing to choose from");
    const auto binning = context.store().open("training_draws");
    const auto series = binning.metadata().at("series").get<std::vector<std::string>>();
    const auto draws = chosen(context, binning.read<std::int32_t>("training_draws"));
    const std::string map(name(task.parameter));
    std::vector<float> curves, targets;
    for (std::size_t first = 0; first < draws.size();) {
      const auto& patient = series[static_cast<std::size_t>(draws[first][0])];
      const auto tissue = context.store().open(input_of(context, "tissue_curves", patient));
      const auto maps = context.store().open(input_of(context, map, patient));
      const auto aif = context.store().open(input_of(context, "aif", patient)).read<float>("aif");
      const float factor = input_factor(aif, 1.0);
      const auto dims = tissue.dims("tissue_curves");
      const std::int64_t plane = dims[1] * dims[2];
      for (std::size_t i = first; i < draws.size() && draws[i][0] == draws[first][0];) {
        const std::int64_t z = draws[i][1] / plane;
        const auto slice = tissue.read_slab<float>("tissue_curves", z, 1);
        const auto values = maps.read_slab<float>(map, z, 1);
        for (; i < draws.size() && draws[i][0] == draws[first][0] && draws[i][1] / plane == z; ++i) {
          const auto at = draws[i][1] % plane;
          for (std::int64_t t = 0; t < dims[3]; ++t)
            curves.push_back(factor * slice[static_cast<std::size_t>(at * dims[3] + t)]);
          targets.push_back(std::clamp(values[static_cast<std::size_t>(at)], 0.0f,
                                       static_cast<float>(facts(task.parameter).paper_maximum)));
        }
      }
      while (first < draws.size() && series[static_cast<std::size_t>(draws[first][0])] == patient) ++first;
    }
    const auto count = static_cast<std::int64_t>(targets.size());
    const auto samples = static_cast<std::int64_t>(curves.size() / targets.size());
    context.output().write<float>(exemplar_curves_spec(), {count, samples}, curves);
    context.output().write<float>(exemplar_targets_spec(), {count}, targets);
    context.output().set_metadata({{"samples", count}, {"series", series}});
  }

 private:
  using Draw = std::array<std::int32_t, 2>;  ///< series, voxel

  /// A random part of the draws, in their order: by series, then by slice.
  std::vector<Draw> chosen(StageContext& context, const std::vector<std::int32_t>& draws) const {
    std::vector<Draw> all;
    for (std::size_t i = 0; i + 1 < draws.size(); i += 2) all.push_back({draws[i], draws[i + 1]});
    if (all.empty()) throw TaskFailure("there are no training draws to choose from");
    // Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): each part of this size is equally likely.
    Random random(context.job().seed, "exemplars/" + context.task().name);
    std::vector<Draw> kept;
    const auto wanted = std::min(all.size(), static_cast<std::size_t>(options_.samples));
    for (std::size_t i = 0; i < all.size() && kept.size() < wanted; ++i)
      if (random.below(all.size() - i) < wanted - kept.size()) kept.push_back(all[i]);
    std::sort(kept.begin(), kept.end());
    return kept;
  }

  static TaskInput input_of(StageContext& context, const std::string& port, const std::string& series) {
    for (const auto& input : context.store().inputs(port))
      if (input.task.name == series) return input;
    throw TaskFailure(port + " of " + series + " failed");
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(exemplars, Exemplars)

}  // namespace perfpipe
