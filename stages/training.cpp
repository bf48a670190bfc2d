// training: one bi-CNN for each held-out patient and parameter.
#include "model/training.hpp"

#include "core/stage.hpp"
#include "core/version.hpp"
#include "model/bicnn.hpp"
#include "model/patches.hpp"
#include "stages/input_ranges.hpp"
#include "stages/maps.hpp"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct TrainingOptions {
  std::string recipe = "paper";
  std::vector<std::string> parameters{"cbf", "cbv", "mtt", "tmax"};
  std::int64_t epochs = 10;
  std::int64_t batch = 50;
  PerParameter learning_rate = of_recipe([](const Recipe& r) { return r.learning_rate; });
  PerParameter decay = of_recipe([](const Recipe& r) { return r.decay; });
  double momentum = 0.9;
  PerParameter input_scale = of_recipe([](const Recipe& r) { return r.input_scale; });
  std::string targets;

  template <class Field>
  static PerParameter of_recipe(const Field& field) {
    PerParameter values{};
    for (Parameter p : all_parameters) values[index(p)] = field(paper_recipe(p));
    return values;
  }
};

/// Epoch by epoch: learning rate, losses, gradient norm.
DatasetSpec epochs_spec() {
  return {"epochs",
          {"epoch", "field"},
          "1",
          ElementType::float64,
          "learning rate, training loss, validation loss, gradient norm"};
}

/// One of the two sets of samples, in memory: the curves that its patches touch (each once), and indices into them.
struct SampleSet {
  std::vector<float> curves = std::vector<float>(static_cast<std::size_t>(curve_samples), 0.0f);  // row 0: zeros
  std::vector<std::int32_t> neighbours;
  std::vector<std::int32_t> patient;
  std::vector<float> targets;

  PatchSet view(const std::vector<float>& aifs) const { return {curves, neighbours, patient, aifs, targets}; }
};

class Training final : public StageWith<TrainingOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "training";
    type.scope = Scope::fold;
    type.summary =
        "Trains the bi-input CNN of each parameter on all patients but one. Writes "
        "weights/without-SUBJECT/PARAMETER.safetensors.";
    type.reference = "Ho et al., ICPR 2016, sections IV and V.B";
    return type;
  }
  static OptionTable<TrainingOptions> table() {
    OptionTable<TrainingOptions> t;
    t.choice("recipe", &TrainingOptions::recipe, {"paper"},
             "paper: Torch7's SGD with momentum and dampening, divided by ten at plateaus");
    t.choices("parameters", &TrainingOptions::parameters, {"cbf", "cbv", "mtt", "tmax"}, "which networks are trained");
    t.integer("epochs", &TrainingOptions::epochs, {1, 10000}, "", "passes over the samples");
    t.integer("batch", &TrainingOptions::batch, {1, 100000}, "samples", "mini-batch");
    t.per_parameter("learning_rate", &TrainingOptions::learning_rate, {0.0, 10.0, true}, "", "initial learning rate");
    t.per_parameter("decay", &TrainingOptions::decay, {0.0, 1.0}, "per step",
                    "rate = learning_rate / (1 + step * decay)");
    t.number("momentum", &TrainingOptions::momentum, {0.0, 1.0, false, true}, "",
             "momentum, and dampening as Torch7 has it");
    t.per_parameter("input_scale", &TrainingOptions::input_scale, {0.0, 1e4, true}, "",
                    "both inputs are scaled so that the patient's AIF peaks here");
    t.text("targets", &TrainingOptions::targets,
           "name of the stage whose maps are the targets; empty: the latest before this one");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (const auto& spec : map_specs()) ports.reads.push_back({spec, options_.targets});
    ports.reads.push_back({tissue_curves_spec(curve_samples)});
    ports.reads.push_back({aif_spec(curve_samples)});
    ports.reads.push_back({draws_spec("training")});
    ports.reads.push_back({draws_spec("validation")});
    ports.writes = {network_spec(), epochs_spec()};
    return ports;
  }
  std::vector<Parameter> fold_parameters() const override {
    std::vector<Parameter> parameters;
    for (Parameter p : all_parameters)
      if (std::find(options_.parameters.begin(), options_.parameters.end(), name(p)) != options_.parameters.end())
        parameters.push_back(p);
    return parameters;
  }
  bool uses_seed() const override { return true; }
  bool accepts_failed_inputs() const override { return true; }
  double cost(const TaskInfo& task) const override {
    return (task.parameter == Parameter::cbf ? 0.5 : 1.0) * 2.0 * static_cast<double>(options_.epochs);
  }

  void run(StageContext& context) const override {
    const auto& task = context.task();
    if (context.store().inputs("training_draws").empty())
      throw TaskFailure("its binning failed, so there is nothing to train on");
    const auto binning = context.store().open("training_draws");
    const auto series = binning.metadata().at("series").get<std::vector<std::string>>();
    const std::vector<float> aifs = read_aifs(context, series);
    const SampleSet training = load(context, series, binning.read<std::int32_t>("training_draws"));
    const SampleSet validation = load(context, series, binning.read<std::int32_t>("validation_draws"));

    Recipe recipe = paper_recipe(task.parameter);
    recipe.name = options_.recipe;
    recipe.epochs = options_.epochs;
    recipe.batch = options_.batch;
    recipe.learning_rate = options_.learning_rate[index(task.parameter)];
    recipe.decay = options_.decay[index(task.parameter)];
    recipe.momentum = recipe.dampening = options_.momentum;
    recipe.input_scale = options_.input_scale[index(task.parameter)];
    recipe.seed = context.job().seed;
    recipe.stream = task.name;
    const auto result = train(
        recipe, training.view(aifs), validation.view(aifs),
        [&](const EpochRecord& epoch) {
          context.log().event("epoch", {{"task", task.id()},
                                        {"epoch", epoch.epoch},
                                        {"learning_rate", epoch.learning_rate},
                                        {"training_loss", epoch.training_loss},
                                        {"validation_loss", epoch.validation_loss},
                                        {"gradient_norm", epoch.gradient_norm}});
        },
        [&] { return context.stop_requested(); });
    if (result.stopped) throw Stopped();
    write(context, recipe, series, binning.metadata(), training.targets.size(), result,
          input_ranges(context, series, training.view(aifs)));
  }

 private:
  static void write(StageContext& context, const Recipe& recipe, const std::vector<std::string>& series,
                    const nlohmann::json& binning, std::size_t samples, const TrainingResult& result,
                    const InputRanges& ranges) {
    WeightFacts weight_facts;
    weight_facts.parameter = recipe.parameter;
    weight_facts.input_scale = recipe.input_scale;
    weight_facts.recipe = recipe.name;
    weight_facts.training_cohort = series;
    weight_facts.version = std::string(version);
    weight_facts.input_ranges = ranges;
    const std::string bytes = to_safetensors(make_weight_file(weight_facts, result.tensors));
    auto& output = context.output();
    const std::vector<std::uint8_t> raw(bytes.begin(), bytes.end());
    output.write<std::uint8_t>(network_spec(), {static_cast<std::int64_t>(raw.size())}, raw);
    std::vector<double> table;
    for (const auto& e : result.epochs)
      table.insert(table.end(), {e.learning_rate, e.training_loss, e.validation_loss, e.gradient_norm});
    output.write<double>(epochs_spec(), {static_cast<std::int64_t>(result.epochs.size()), 4}, table);
    output.set_metadata({{"recipe", recipe.name},
                         {"epochs", recipe.epochs},
                         {"batch", recipe.batch},
                         {"learning_rate", recipe.learning_rate},
                         {"input_scale", recipe.input_scale},
                         {"samples", samples},
                         {"epoch_of_weights", result.epoch_of_weights},
                         {"validation_subject", binning.at("validation_subject")},
                         {"edges", binning.at("edges")}});
    // One folder for each held-out subject: as it is, it can be `inference.weights` of another job.
    context.publish(std::filesystem::path("weights") / ("without-" + context.task().held_out) /
                        (std::string(name(recipe.parameter)) + ".safetensors"),
                    bytes);
  }

  /// What the network met: how the patients were acquired, and the size of the drawn voxels' curves.
  static InputRanges input_ranges(StageContext& context, const std::vector<std::string>& series, const PatchSet& set) {
    InputRanges ranges;
    for (const auto& one : series)
      if (const auto met = acquisition_of(context.store().open(input_of(context, "tissue_curves", one)).metadata())) {
        widen(ranges, interval_range, met->interval_s);
        widen(ranges, window_range, met->window_s);
      }
    constexpr auto samples = static_cast<std::size_t>(curve_samples);
    for (std::size_t i = 0; i < set.samples(); ++i) {
      const auto centre = static_cast<std::size_t>(set.neighbours[i * patch_positions + patch_positions / 2]);
      const auto aif = set.aifs.subspan(static_cast<std::size_t>(set.patient[i]) * samples, samples);
      const std::uint8_t one = 1;
      for (const float peak : relative_peaks(set.curves.subspan(centre * samples, samples), {&one, 1}, aif))
        widen(ranges, peak_range, peak);
    }
    return ranges;
  }

  static TaskInput input_of(StageContext& context, const std::string& port, const std::string& series) {
    for (const auto& input : context.store().inputs(port))
      if (input.task.name == series) return input;
    throw Error(ExitCode::config, fmt::format("{}: no input '{}' of {}", context.task().id(), port, series));
  }

  static std::vector<float> read_aifs(StageContext& context, const std::vector<std::string>& series) {
    std::vector<float> aifs;
    for (const auto& one : series) {
      const auto aif = context.store().open(input_of(context, "aif", one)).read<float>("aif");
      aifs.insert(aifs.end(), aif.begin(), aif.end());
    }
    return aifs;
  }

  /// Gathers the curves of the drawn voxels' patches, slice by slice: what stays in memory is bounded by the draws.
  static SampleSet load(StageContext& context, const std::vector<std::string>& series,
                        const std::vector<std::int32_t>& draws) {
    const Parameter parameter = context.task().parameter;
    SampleSet set;
    for (std::size_t first = 0; first < draws.size();) {
      const std::int32_t patient = draws[first];
      std::size_t end = first;
      while (end < draws.size() && draws[end] == patient) end += 2;
      const auto tissue =
          context.store().open(input_of(context, "tissue_curves", series[static_cast<std::size_t>(patient)]));
      const auto maps = context.store().open(
          input_of(context, std::string(name(parameter)), series[static_cast<std::size_t>(patient)]));
      const auto dims = tissue.dims("tissue_curves");
      const std::int64_t plane = dims[1] * dims[2];
      for (std::size_t i = first; i < end;) {
        const std::int64_t z = draws[i + 1] / plane;
        const auto curves = tissue.read_slab<float>("tissue_curves", z, 1);
        const auto targets = maps.read_slab<float>(std::string(name(parameter)), z, 1);
        std::vector<std::int32_t> row_of(static_cast<std::size_t>(plane), -1);
        for (; i < end && draws[i + 1] / plane == z; i += 2) {
          const std::int64_t place = draws[i + 1] % plane;
          for (std::int64_t neighbour : patch_positions_of(place / dims[2], place % dims[2], dims[1], dims[2])) {
            if (neighbour < 0) {
              set.neighbours.push_back(0);
              continue;
            }
            auto& row = row_of[static_cast<std::size_t>(neighbour)];
            if (row < 0) {
              row = static_cast<std::int32_t>(set.curves.size() / static_cast<std::size_t>(curve_samples));
              const float* const curve = curves.data() + neighbour * curve_samples;
              set.curves.insert(set.curves.end(), curve, curve + curve_samples);
            }
            set.neighbours.push_back(row);
          }
          set.patient.push_back(patient);
          set.targets.push_back(std::clamp(targets[static_cast<std::size_t>(place)], 0.0f,
                                           static_cast<float>(facts(parameter).paper_maximum)));
        }
      }
      first = end;
    }
    return set;
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(training, Training)

}  // namespace perfpipe
