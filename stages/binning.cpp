// binning: which voxels of the training patients a network learns from, balanced over the target's value.
#include "core/stage.hpp"
#include "stages/balanced_draws.hpp"
#include "stages/maps.hpp"
#include "stages/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct BinningOptions {
  PerParameter bins{10, 10, 10, 10};
  PerParameter samples{97110, 91950, 87080, 74850};  // CBF, CBV, MTT, Tmax: totals of the paper, section V.A
  double validation_share = 0.1;
  double upper_percentile = 98.0;
  std::string targets;
};

class Binning final : public StageWith<BinningOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "binning";
    type.scope = Scope::fold;
    type.version = 2;
    type.summary =
        "Draws each fold's training and validation voxels in equal numbers from equal-width bins of the target. Writes "
        "indices, no patches.";
    type.reference = "Ho et al., ICPR 2016, section V.A";
    return type;
  }
  static OptionTable<BinningOptions> table() {
    OptionTable<BinningOptions> t;
    t.per_parameter(
        "bins", &BinningOptions::bins, {1, 1000}, "",
        "equal-width bins from 0 to the upper edge; 1: drawn as often as values are in the brain, which suits "
        "a target that noise moves: an error weighs as much as in the evaluation");
    t.per_parameter("samples", &BinningOptions::samples, {10, 1e8}, "",
                    "training samples, over all bins; a bin that is short is drawn with replacement");
    t.number("validation_share", &BinningOptions::validation_share, {0.0, 1.0, true}, "of samples",
             "samples drawn in the same way from the validation patient");
    t.number("upper_percentile", &BinningOptions::upper_percentile, {50.0, 100.0}, "%",
             "percentile of the fold's training targets (saturated to the paper's range) that is the upper edge; "
             "larger values join the last "
             "bin. At 100 large vessels fill most bins and tissue one: CBF then did not train in half of the folds");
    t.text("targets", &BinningOptions::targets,
           "name of the stage whose maps are the targets; empty: the latest before this one");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (const auto& spec : map_specs()) ports.reads.push_back({spec, options_.targets});
    ports.reads.push_back({brain_mask_spec()});
    ports.writes = {draws_spec("training"), draws_spec("validation")};
    return ports;
  }
  bool uses_seed() const override { return true; }
  bool accepts_failed_inputs() const override { return true; }
  void check(const Cohort& cohort, Findings& findings) const override {
    for (Parameter p : all_parameters)
      if (const double bins = options_.bins[index(p)]; bins != std::floor(bins))
        throw ConfigError(fmt::format("binning.bins = {} for {}: expected a whole number", bins, facts(p).label));
    const auto subjects = cohort.subjects().size();
    if (subjects < 3)
      findings.add(
          cohort.path.string(),
          fmt::format(
              "{} subject(s); leave-one-patient-out needs at least 3: one held out, one to validate, one to train",
              subjects));
  }
  double cost(const TaskInfo&) const override { return 0.5; }

  void run(StageContext& context) const override {
    const Parameter parameter = context.task().parameter;
    const std::string map(name(parameter));
    const auto inputs = context.store().inputs(map);
    if (inputs.empty()) throw TaskFailure("no training patient is there: their targets failed");
    const std::string validation = validation_subject(inputs, context.task().held_out);

    Histogram histogram(facts(parameter).paper_maximum);
    for (const auto& input : inputs)
      if (input.task.subject != validation)
        for_each_target(context, input, parameter, [&](double target, std::int64_t) { histogram.add(target); });
    if (histogram.count() == 0) throw TaskFailure("the training patients' masks are empty; check their brain masks");
    const ClassEdges edges{std::max(histogram.percentile(options_.upper_percentile), 1e-6),
                           static_cast<std::int64_t>(options_.bins[index(parameter)])};

    Random random(context.job().seed, "binning/" + context.task().name);
    nlohmann::json series = nlohmann::json::array();
    for (const auto& input : inputs) series.push_back(input.task.name);
    nlohmann::json metadata{{"series", series},
                            {"validation_subject", validation},
                            {"edges", edges.edges()},
                            {"units", std::string(facts(parameter).units)},
                            {"saturated_at", facts(parameter).paper_maximum}};
    const auto total = static_cast<std::int64_t>(options_.samples[index(parameter)]);
    metadata["training"] = draw_set(context, inputs, edges, total, "training", random,
                                    [&](const TaskInput& input) { return input.task.subject != validation; });
    const auto validation_total =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(options_.validation_share * static_cast<double>(total)));
    metadata["validation"] = draw_set(context, inputs, edges, validation_total, "validation", random,
                                      [&](const TaskInput& input) { return input.task.subject == validation; });
    context.output().set_metadata(metadata);
  }

 private:
  /// The training subject after the held-out one, in the cohort's order: each subject validates one fold.
  static std::string validation_subject(const std::vector<TaskInput>& inputs, const std::string& held_out) {
    for (const auto& input : inputs)
      if (input.task.subject > held_out) return input.task.subject;
    return inputs.front().task.subject;
  }

  /// Calls visit(saturated target, voxel) for every voxel of the mask, slab by slab.
  static void for_each_target(StageContext& context, const TaskInput& input, Parameter parameter,
                              const std::function<void(double, std::int64_t)>& visit) {
    const auto maps = context.store().open(input);
    const auto masks = context.store().inputs("brain_mask");
    const auto same =
        std::find_if(masks.begin(), masks.end(), [&](const TaskInput& m) { return m.task.name == input.task.name; });
    const auto mask = context.store().open(*same);
    const auto dims = maps.dims(std::string(name(parameter)));
    const std::int64_t plane = dims[1] * dims[2], step = context.slab_slices(plane * 5);
    for (std::int64_t z = 0; z < dims[0]; z += step) {
      const std::int64_t count = std::min(step, dims[0] - z);
      const auto values = maps.read_slab<float>(std::string(name(parameter)), z, count);
      const auto inside = mask.read_slab<std::uint8_t>("brain_mask", z, count);
      for (std::size_t v = 0; v < values.size(); ++v)
        if (inside[v] != 0)
          visit(std::clamp<double>(values[v], 0.0, facts(parameter).paper_maximum),
                z * plane + static_cast<std::int64_t>(v));
    }
  }

  /// Counts the members of each bin, draws ordinals, and finds their voxels in a second pass: memory for the draws
  /// alone.
  nlohmann::json draw_set(StageContext& context, const std::vector<TaskInput>& inputs, const ClassEdges& edges,
                          std::int64_t total, const std::string& set, Random& random,
                          const std::function<bool(const TaskInput&)>& take) const {
    const Parameter parameter = context.task().parameter;
    std::vector<std::int64_t> members(static_cast<std::size_t>(edges.classes), 0);
    for (const auto& input : inputs)
      if (take(input))
        for_each_target(context, input, parameter, [&](double target, std::int64_t) {
          ++members[static_cast<std::size_t>(edges.class_of(target))];
        });
    const auto draws = draw_balanced(members, total, random);

    std::vector<std::int32_t> chosen;
    Agreement targets;  // their SD is the error of the best constant
    std::vector<std::size_t> next(draws.size(), 0);
    std::vector<std::int64_t> met(draws.size(), 0);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!take(inputs[i])) continue;
      for_each_target(context, inputs[i], parameter, [&](double target, std::int64_t voxel) {
        const auto c = static_cast<std::size_t>(edges.class_of(target));
        for (const auto ordinal = met[c]++; next[c] < draws[c].ordinals.size() && draws[c].ordinals[next[c]] == ordinal;
             ++next[c]) {
          chosen.push_back(static_cast<std::int32_t>(i));
          chosen.push_back(static_cast<std::int32_t>(voxel));
          targets.add(target, target);
        }
      });
    }
    context.output().write<std::int32_t>(draws_spec(set), {static_cast<std::int64_t>(chosen.size()) / 2, 2}, chosen);
    nlohmann::json drawn = nlohmann::json::array(), repeated = nlohmann::json::array();
    for (std::size_t c = 0; c < draws.size(); ++c) {
      drawn.push_back(draws[c].ordinals.size());
      repeated.push_back(draws[c].with_replacement);
    }
    const auto short_bins = std::count_if(draws.begin(), draws.end(), [](const auto& d) { return d.with_replacement; });
    const auto empty_bins = std::count(members.begin(), members.end(), 0);
    if (short_bins + empty_bins > 0)
      context.log().event("binning", {{"task", context.task().id()},
                                      {"set", set},
                                      {"bins_with_replacement", short_bins},
                                      {"empty_bins", empty_bins}});
    return {{"members", members},
            {"drawn", drawn},
            {"with_replacement", repeated},
            {"target_mean", targets.mean_reference()},
            {"target_sd", targets.sd_of_reference()}};
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(binning, Binning)

}  // namespace perfpipe
