// training: one bi-CNN for each held-out patient and parameter.
#include "model/training.hpp"

#include "core/parallel.hpp"
#include "core/stage.hpp"
#include "core/version.hpp"
#include "model/bicnn.hpp"
#include "model/gradient_sum.hpp"
#include "model/training_cuda.hpp"
#include "stages/input_ranges.hpp"
#include "stages/maps.hpp"
#include "stages/recipes.hpp"
#include "stages/training_samples.hpp"
#include "stages/training_state.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>

#include <fmt/format.h>

namespace perfpipe {
namespace {

/// The defaults are those of the recipe "paper" (configs/recipes/paper.yaml), which come first wherever it is meant.
struct TrainingOptions {
  std::string recipe = "paper";
  std::vector<std::string> parameters{"cbf", "cbv", "mtt", "tmax"};
  std::string optimiser = "sgd";
  std::int64_t epochs = 10;
  std::int64_t batch = 50;
  PerParameter learning_rate{5e-5, 5e-4, 5e-3, 5e-3};
  double momentum = 0.9;
  std::string schedule = "plateau";
  PerParameter decay{1e-9, 1e-8, 1e-7, 1e-7};
  double plateau_factor = 0.1;
  std::int64_t plateau_times = 3;
  std::int64_t plateau_patience = 1;
  double warm_up = 0.1;
  PerParameter input_scale{1.0, 10.0, 10.0, 10.0};
  double tissue_scale = 0.0;
  bool standardise = false;
  bool symmetries = false;
  double gain = 1.0;
  std::int64_t shift = 0;
  std::string keep = "best";
  std::int64_t seed = 0;
  std::string targets;
};

/// Tells of each epoch: on the terminal of rank 0, and as a JSON line.
class EpochWatch {
 public:
  EpochWatch(StageContext& context, const Recipe& recipe, std::size_t samples)
      : context_(context), recipe_(recipe), samples_(static_cast<double>(samples)) {}

  void resumed(const TrainingState& state) {
    context_.log().info(fmt::format("{}: goes on after epoch {} of {}, step {}", context_.task().id(),
                                    state.epochs.size(), recipe_.epochs, state.steps_of_epoch));
  }
  void tell(const EpochRecord& epoch) {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    const double rate = samples_ / std::max(seconds, 1e-9);  // the first epoch after a resumption may be a part of one
    const double left = seconds * static_cast<double>(recipe_.epochs - epoch.epoch);
    context_.log().event("epoch", {{"task", context_.task().id()},
                                   {"epoch", epoch.epoch},
                                   {"learning_rate", epoch.learning_rate},
                                   {"training_loss", epoch.training_loss},
                                   {"validation_loss", epoch.validation_loss},
                                   {"gradient_norm", epoch.gradient_norm},
                                   {"samples_per_second", rate},
                                   {"eta_s", left}});
    context_.log().info(
        fmt::format("{}: epoch {}/{}: loss {:.4g}, validation {:.4g}, rate {:.3g}, {:.0f} samples/s, "
                    "{:.0f} s left",
                    context_.task().id(), epoch.epoch, recipe_.epochs, epoch.training_loss, epoch.validation_loss,
                    epoch.learning_rate, rate, left));
  }

 private:
  StageContext& context_;
  const Recipe& recipe_;
  double samples_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
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
        "weights/without-SUBJECT/PARAMETER.safetensors (weights-NAME/... under a name of its own, `as: NAME`).";
    type.reference = "Ho et al., ICPR 2016, sections IV and V.B";
    type.version = 4;
    return type;
  }
  static void complete(ConfigNode& options, Findings& findings) { complete_from_recipe(options, findings); }
  static OptionTable<TrainingOptions> table() {
    OptionTable<TrainingOptions> t;
    t.text("recipe", &TrainingOptions::recipe,
           "paper, modern, or a YAML file with any of the options below: their defaults (configs/recipes/)");
    t.choices("parameters", &TrainingOptions::parameters, {"cbf", "cbv", "mtt", "tmax"}, "which networks are trained");
    t.choice("optimiser", &TrainingOptions::optimiser, {"sgd", "adam"},
             "sgd: Torch7's, dampening equal to the momentum; adam: Kingma and Ba's");
    t.integer("epochs", &TrainingOptions::epochs, {1, 10000}, "",
              "passes over the samples; raised on a finished run, the schedule plateau goes on from there");
    t.integer("batch", &TrainingOptions::batch, {1, 100000}, "samples", "mini-batch");
    t.per_parameter("learning_rate", &TrainingOptions::learning_rate, {0.0, 10.0, true}, "", "initial or peak rate");
    t.number("momentum", &TrainingOptions::momentum, {0.0, 1.0, false, true}, "", "momentum; Adam's first beta");
    t.choice("schedule", &TrainingOptions::schedule, {"plateau", "one_cycle"},
             "plateau: lowered when the validation error stops improving; one_cycle: up, then half a cosine to zero");
    t.per_parameter("decay", &TrainingOptions::decay, {0.0, 1.0}, "per step",
                    "plateau: rate = learning_rate / (1 + step * decay)");
    t.number("plateau_factor", &TrainingOptions::plateau_factor, {0.0, 1.0, true}, "", "factor at a plateau");
    t.integer("plateau_times", &TrainingOptions::plateau_times, {0, 100}, "", "plateaus that lower the rate, at most");
    t.integer("plateau_patience", &TrainingOptions::plateau_patience, {1, 1000}, "epochs",
              "epochs in a row without a new best that make a plateau");
    t.number("warm_up", &TrainingOptions::warm_up, {0.0, 1.0}, "", "one_cycle: part of the steps in which it rises");
    t.per_parameter("input_scale", &TrainingOptions::input_scale, {0.0, 1e4, true}, "",
                    "both inputs are scaled so that the patient's AIF peaks here");
    t.number("tissue_scale", &TrainingOptions::tissue_scale, {0.0, 1e4}, "",
             "tissue curves are scaled so that the 99th percentile of the samples' peaks lies here; 0: as the AIF");
    t.flag("standardise", &TrainingOptions::standardise, "targets minus their mean, over their SD, are learned");
    t.flag("symmetries", &TrainingOptions::symmetries,
           "each patch is mirrored and turned anew in each epoch, in eight ways");
    t.number("gain", &TrainingOptions::gain, {1.0, 100.0}, "",
             "tissue curves are multiplied by a factor from 1 / gain to gain, drawn for each sample and epoch; CBF and "
             "CBV with them");
    t.integer("shift", &TrainingOptions::shift, {0, 35}, "samples",
              "tissue and artery of a patient are moved together by up to this much, drawn for each mini-batch");
    t.choice("keep", &TrainingOptions::keep, {"best", "last"},
             "weights of the epoch with the lowest validation error, or of the last");
    t.integer("seed", &TrainingOptions::seed, {0, 9007199254740992.0}, "",
              "of initial weights and shuffles; 0: the job's");
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
  DeviceUse device_use() const override { return DeviceUse::own_bits; }
  bool accepts_failed_inputs() const override { return true; }
  int max_ranks(const TaskInfo&) const override { return static_cast<int>(gradient_shards); }
  double cost(const TaskInfo& task) const override {
    return (task.parameter == Parameter::cbf ? 0.5 : 1.0) * 2.0 * static_cast<double>(options_.epochs);
  }

  /// A GPU has room for all networks of a large study at once; more than one keeps it busy.
  int together(const Device& device) const override { return device.cuda ? 64 : 1; }

  void run(StageContext& context) const override {
    if (context.job().device.cuda) {
      if (const auto failure = run_together({&context}).front()) std::rethrow_exception(failure);
      return;
    }
    auto task = prepare(context);
    finish(*task, train(task->recipe, task->training.view(task->aifs), task->validation.view(task->aifs), task->hooks,
                        std::move(task->resume)));
  }

  std::vector<std::exception_ptr> run_together(const std::vector<StageContext*>& contexts) const override {
    std::vector<std::exception_ptr> thrown(contexts.size());
    std::vector<std::unique_ptr<Task>> tasks(contexts.size());
    std::vector<TrainingJob> jobs;
    std::vector<std::size_t> place;  // of each job
    const auto guarded = [&](std::size_t i, const auto& work) {
      try {
        work();
      } catch (...) {
        thrown[i] = std::current_exception();
      }
    };
    auto& context = *contexts.front();
    // The rank's threads read the samples of a network each.
    parallel_blocks(contexts.size(), 1, context.job().threads,
                    [&](std::size_t i, std::size_t) { guarded(i, [&] { tasks[i] = prepare(*contexts[i]); }); });
    for (std::size_t i = 0; i < contexts.size(); ++i) {
      if (tasks[i] == nullptr) continue;
      auto& task = *tasks[i];
      task.sets = {task.training.view(task.aifs), task.validation.view(task.aifs)};
      jobs.push_back({&task.recipe, &task.sets[0], &task.sets[1], task.hooks, std::move(task.resume)});
      place.push_back(i);
    }
    if (jobs.empty()) return thrown;
    context.log().info(
        fmt::format("training {} network{} together on the GPU", jobs.size(), jobs.size() == 1 ? "" : "s"));
    const auto gpus = context.gpus_of_group();
    auto outcomes = train_together(std::move(jobs), {context.job().device.index, gpus.get(), context.job().threads});
    for (std::size_t j = 0; j < outcomes.size(); ++j)
      guarded(place[j], [&] {
        if (outcomes[j].failure) std::rethrow_exception(outcomes[j].failure);
        finish(*tasks[place[j]], outcomes[j].result);
      });
    return thrown;
  }

 private:
  /// A training with all that it reads.
  struct Task {
    StageContext& context;
    nlohmann::json binning;
    std::vector<std::string> series;
    std::vector<float> aifs;
    SampleSet training, validation;
    std::array<PatchSet, 2> sets;  ///< views of both, for a training that holds on to them
    Recipe recipe;
    std::string state_key;
    TrainingHooks hooks;
    std::optional<TrainingState> resume;
  };

  std::unique_ptr<Task> prepare(StageContext& context) const {
    if (context.store().inputs("training_draws").empty())
      throw TaskFailure("its binning failed, so there is nothing to train on");
    const auto binning = context.store().open("training_draws");
    std::unique_ptr<Task> task(
        new Task{context, binning.metadata(), {}, {}, {}, {}, {}, recipe_of(context), {}, {}, {}});
    task->series = task->binning.at("series").get<std::vector<std::string>>();
    task->aifs = read_aifs(context, task->series);
    task->training = read_samples(context, task->series, binning.read<std::int32_t>("training_draws"));
    task->validation = read_samples(context, task->series, binning.read<std::int32_t>("validation_draws"));

    // One cycle spans all epochs: with another number of them every step is another. The paper's rule goes on.
    task->state_key = context.state_key(task->recipe.schedule == Schedule::plateau ? std::vector<std::string>{"epochs"}
                                                                                   : std::vector<std::string>{});
    const auto watch = std::make_shared<EpochWatch>(context, task->recipe, task->training.targets.size());
    task->hooks.group = context.group();
    task->hooks.stop = [&context] { return context.stop_requested(); };
    task->hooks.on_epoch = [watch, &task = *task](const EpochRecord& epoch, const TrainingState& state) {
      if (!task.context.is_first_of_group()) return;
      watch->tell(epoch);
      if (epoch.epoch < task.recipe.epochs)
        task.context.save_state(task.state_key, [&](ArtifactWriter& writer) { write_state(writer, state); });
    };
    task->resume = resumable_state(context, task->state_key, task->recipe.epochs);
    if (task->resume) watch->resumed(*task->resume);
    return task;
  }

  static void finish(const Task& task, const TrainingResult& result) {
    auto& context = task.context;
    if (result.stopped) {
      if (context.is_first_of_group())
        context.save_state(task.state_key, [&](ArtifactWriter& writer) { write_state(writer, result.state); });
      throw Stopped();
    }
    if (context.is_first_of_group())
      write(context, task.recipe, task.series, task.binning, task.training.targets.size(), task.state_key, result,
            training_ranges(context, task.series, task.training.view(task.aifs)));
  }

  Recipe recipe_of(const StageContext& context) const {
    const auto& task = context.task();
    const auto p = index(task.parameter);
    Recipe recipe;
    recipe.name = std::filesystem::path(options_.recipe).stem().string();
    recipe.parameter = task.parameter;
    recipe.optimiser = options_.optimiser == "adam" ? OptimiserKind::adam : OptimiserKind::sgd;
    recipe.epochs = options_.epochs;
    recipe.batch = options_.batch;
    recipe.learning_rate = options_.learning_rate[p];
    recipe.momentum = recipe.dampening = options_.momentum;
    recipe.schedule = options_.schedule == "one_cycle" ? Schedule::one_cycle : Schedule::plateau;
    recipe.decay = options_.decay[p];
    recipe.plateau_factor = options_.plateau_factor;
    recipe.plateau_times = options_.plateau_times;
    recipe.plateau_patience = options_.plateau_patience;
    recipe.warm_up = options_.warm_up;
    recipe.input_scale = options_.input_scale[p];
    recipe.tissue_scale = options_.tissue_scale;
    recipe.standardise = options_.standardise;
    recipe.symmetries = options_.symmetries;
    recipe.gain = options_.gain;
    recipe.shift = options_.shift;
    recipe.keep_last = options_.keep == "last";
    recipe.seed = options_.seed > 0 ? static_cast<std::uint64_t>(options_.seed) : context.job().seed;
    recipe.stream = task.name;
    return recipe;
  }

  static void write(StageContext& context, const Recipe& recipe, const std::vector<std::string>& series,
                    const nlohmann::json& binning, std::size_t samples, const std::string& state_key,
                    const TrainingResult& result, const InputRanges& ranges) {
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
    const auto state = write_state(output, result.state);
    output.set_metadata({{"recipe", recipe.name},
                         {"epochs", recipe.epochs},
                         {"batch", recipe.batch},
                         {"learning_rate", recipe.learning_rate},
                         {"input_scale", recipe.input_scale},
                         {"samples", samples},
                         {"epoch_of_weights", result.epoch_of_weights},
                         {"validation_subject", binning.at("validation_subject")},
                         {"edges", binning.at("edges")},
                         {"state", state.at("state")},
                         {"state_key", state_key}});
    // One folder for each held-out subject: as it is, it can be `inference.weights` of another job. A second training
    // of the job, under a name of its own, has a folder of its own.
    const auto& stage = context.task().stage;
    context.publish(std::filesystem::path(stage == "training" ? "weights" : "weights-" + stage) /
                        ("without-" + context.task().held_out) / (std::string(name(recipe.parameter)) + ".safetensors"),
                    bytes);
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(training, Training)

}  // namespace perfpipe
