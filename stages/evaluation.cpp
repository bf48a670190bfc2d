// evaluation: how every maker's maps agree with the targets and, for phantoms, with the truth.
#include "core/stage.hpp"
#include "formats/nifti_image.hpp"
#include "stages/evaluation_results.hpp"
#include "stages/evaluation_tables.hpp"
#include "stages/maps.hpp"
#include "stages/seed_comparison.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct EvaluationOptions {
  std::string reference;
  std::string compare;
};

/// A map of one patient that can be read by slabs: a maker's, or a truth file.
struct MapSource {
  std::string label;
  std::string stage;
  std::unique_ptr<ArtifactReader> artifact;
  std::filesystem::path file;

  RawValues<float> read(Parameter p, std::int64_t z, std::int64_t count) const {
    if (artifact) return artifact->read_slab<float>(std::string(name(p)), z, count);
    NiftiReader reader(file);
    RawValues<float> values;
    reader.read_slab(z, count, values);
    return values;
  }
};

class Evaluation final : public StageWith<EvaluationOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "evaluation";
    type.scope = Scope::cohort;
    type.summary =
        "ARMSE, agreement and Dice of all maps against the targets and, where the cohort has it, simulated truth; "
        "beside a constant predictor, the nearest training curve (`neighbours`) and the paper. Clinical volumes; "
        "trainings that failed or collapsed. Errors by region or condition where a phantom's label map tells them "
        "apart. Writes tables/.";
    type.version = 3;
    type.reference = "Ho et al., ICPR 2016, section V.C; Bland and Altman (1986); Lin (1989)";
    return type;
  }
  static OptionTable<EvaluationOptions> table() {
    OptionTable<EvaluationOptions> t;
    t.text("reference", &EvaluationOptions::reference,
           "name of the stage whose maps are the targets; empty: the first of the job that writes maps");
    t.text("compare", &EvaluationOptions::compare,
           "output folder of the same job with another seed: are differences between patients larger than between "
           "seeds?");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (const auto& spec : map_specs()) ports.reads.push_back({spec, "", true});
    ports.reads.push_back({brain_mask_spec()});
    for (Parameter p : {Parameter::cbf, Parameter::tmax}) ports.reads.push_back({tissue_mask_spec(p), "", false, true});
    for (Parameter p : all_parameters) ports.reads.push_back({nearest_map_spec(p), "", false, true});
    for (const auto& port : training_ports()) ports.reads.push_back(port);
    ports.writes = {results_spec()};
    return ports;
  }
  std::vector<std::filesystem::path> files(const TaskInfo&, const Cohort& cohort) const override {
    std::vector<std::filesystem::path> files;
    for (const auto& series : cohort.series) {
      for (const auto& truth : series.truth)
        if (!truth.empty()) files.push_back(truth);
      if (!series.labels.empty()) files.insert(files.end(), {series.labels, series.label_table});
    }
    if (!options_.compare.empty()) files.push_back(results_file(options_.compare));
    return files;
  }
  void check(const Cohort&, Findings& findings) const override {
    if (options_.compare.empty()) return;
    try {
      read_results(options_.compare);
    } catch (const Error& error) {
      findings.add("evaluation.compare", error.what());
    }
  }
  bool accepts_failed_inputs() const override { return true; }

  void run(StageContext& context) const override {
    EvaluationResults results;
    for (const auto& series : context.cohort().series) {
      if (context.stop_requested()) throw Stopped();
      results.cohort.push_back(series.name);
      evaluate_patient(context, series, results);
    }
    if (results.errors.empty())
      context.warn("there is nothing to compare: one maker of maps, and no truth beside the series");
    evaluate_constants(results);
    results.trainings = read_trainings(context, false);
    results.failures = context.store().failed();
    warn_of_trainings(context, results.trainings);
    auto json = to_json(results);
    if (!options_.compare.empty()) try {
        json["seed_comparison"] = compare_seeds(json, read_results(options_.compare), options_.compare);
      } catch (const InputError& error) {  // what was trained for hours is not given up for a comparison
        context.warn(fmt::format("no comparison of seeds: {}", error.what()));
      }
    context.publish("tables/armse.csv", errors_csv(json));
    context.publish("tables/patients.csv", patients_csv(json));
    context.publish("tables/dice.csv", dice_csv(json));
    context.publish("tables/dice_means.csv", dice_means_csv(json));
    context.publish("tables/clinical.csv", clinical_csv(json));
    context.publish("tables/trainings.csv", trainings_csv(json));
    if (!results.conditions.empty()) context.publish("tables/conditions.csv", results.conditions.csv());
    // A failure's reason may hold any bytes (a file's name), but JSON is UTF-8.
    const std::string text = json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    context.publish("tables/results.json", text);
    const std::vector<std::uint8_t> bytes(text.begin(), text.end());
    context.output().write<std::uint8_t>(results_spec(), {static_cast<std::int64_t>(bytes.size())}, bytes);
    context.output().set_metadata({{"summary", summary_text(json)}, {"warnings", context.warnings()}});
  }

 private:
  static std::optional<TaskInput> input_of(StageContext& context, const std::string& port, const Series& series,
                                           const std::string& stage = "") {
    for (const auto& input : context.store().inputs(port))
      if (input.task.name == series.name && (stage.empty() || input.task.stage == stage)) return input;
    return std::nullopt;
  }

  static ErrorTable& table_of(EvaluationResults& results, const std::string& maker, const std::string& reference,
                              Parameter p) {
    for (auto& table : results.errors)
      if (table.maker == maker && table.reference == reference && table.parameter == p) return table;
    results.errors.push_back({maker, reference, p, {}});
    return results.errors.back();
  }
  static OverlapTable& overlap_of(EvaluationResults& results, const std::string& maker, const std::string& reference,
                                  Parameter p) {
    for (auto& table : results.overlaps)
      if (table.maker == maker && table.reference == reference && table.parameter == p) return table;
    results.overlaps.push_back({maker, reference, p, {}});
    return results.overlaps.back();
  }

  static void warn_of_trainings(StageContext& context, const std::vector<TrainingView>& trainings) {
    for (const auto& t : trainings) {
      const std::string which = fmt::format("{} without {} ({})", facts(t.parameter).label, t.held_out, t.stage);
      if (!t.failure.empty())
        context.warn(fmt::format("the training of {} failed, tables are without it: {}", which, t.failure));
      else if (t.collapsed())
        context.warn(fmt::format(
            "the network of {} is no better than a constant: validation error {:.3g} {}, that of "
            "a constant {:.3g}; try another learning_rate or input_scale, or more epochs",
            which, std::sqrt(*t.best_validation_loss()), facts(t.parameter).units, std::sqrt(*t.constant_loss)));
    }
  }

  /// What the comparisons of one patient share.
  struct Patient {
    const Series& series;
    const ArtifactReader& brain;
    std::vector<std::int64_t> dims;
    std::optional<ArtifactReader> masks;       ///< for their thresholds
    std::optional<ArtifactReader> neighbours;  ///< estimates by the nearest training curves
    LabelTable labels;                         ///< of regions or conditions; empty where there are none
  };

  void evaluate_patient(StageContext& context, const Series& series, EvaluationResults& results) const {
    const auto mask_input = input_of(context, "brain_mask", series);
    if (!mask_input) return;  // this patient's import failed; the runner reports it
    const auto brain = context.store().open(*mask_input);
    Patient patient{series, brain, brain.dims("brain_mask"), std::nullopt, std::nullopt, {}};
    if (!series.labels.empty()) {
      Findings findings;
      patient.labels = read_label_table(series.label_table, findings);
      findings.throw_if_any(ExitCode::input);
      if (!results.conditions.accept(patient.labels)) {
        context.warn(fmt::format("{}: its labels have other factors than those before; its conditions are not counted",
                                 series.name));
        patient.labels = {};
      }
    }
    if (const auto input = input_of(context, "cbf_mask", series)) patient.masks = context.store().open(*input);
    if (const auto input = input_of(context, nearest_map_spec(Parameter::cbf).name, series))
      patient.neighbours = context.store().open(*input);

    std::map<std::string, std::array<std::optional<MapSource>, 4>> by_maker;
    std::vector<std::string> order;
    for (Parameter p : all_parameters) {
      // References first: the targets (saturated to the paper's range, as the networks saw them), then the truth.
      auto makers = makers_of(context, series, p);
      const auto target = std::find_if(makers.begin(), makers.end(), [&](const MapSource& m) {
        return options_.reference.empty() || m.stage == options_.reference;
      });
      if (target != makers.end()) results.reference = target->label;
      for (const auto& maker : makers) {
        if (target != makers.end() && &maker != &*target) compare(context, patient, p, maker, *target, true, results);
        if (const auto& truth = series.truth[index(p)]; !truth.empty())
          compare(context, patient, p, maker, MapSource{"truth", "", nullptr, truth}, false, results);
      }
      if (const auto& truth = series.truth[index(p)]; !truth.empty())
        makers.push_back(MapSource{"truth", "", nullptr, truth});
      for (auto& maker : makers) {
        if (!by_maker.contains(maker.label)) order.push_back(maker.label);
        const std::string label = maker.label;
        by_maker[label][index(p)] = std::move(maker);
      }
    }
    for (const auto& label : order)
      if (const auto& maps = by_maker[label]; maps[index(Parameter::cbf)] && maps[index(Parameter::tmax)])
        measure_volumes(context, patient, label, *maps[index(Parameter::cbf)], *maps[index(Parameter::tmax)], results);
  }

  static std::vector<MapSource> makers_of(StageContext& context, const Series& series, Parameter p) {
    std::vector<MapSource> makers;
    for (const auto& input : context.store().inputs(std::string(name(p)))) {
      if (input.task.name != series.name) continue;
      auto reader = std::make_unique<ArtifactReader>(context.store().open(input));
      if (!reader->has(std::string(name(p)))) continue;
      const std::string label = reader->metadata().at(label_key);
      makers.push_back({label, input.task.stage, std::move(reader), {}});
    }
    return makers;
  }

  static void compare(StageContext& context, const Patient& patient, Parameter p, const MapSource& maker,
                      const MapSource& reference, bool saturate, EvaluationResults& results) {
    const auto& dims = patient.dims;
    PatientErrors errors{patient.series.name, patient.series.subject, {}, 0.0, 0.0};
    PatientOverlap overlap{patient.series.name, {}, patient.brain.metadata().at("voxel_volume_ml")};
    Histogram histogram(facts(p).paper_maximum);
    const bool has_mask = patient.masks && (p == Parameter::cbf || p == Parameter::tmax);
    const double threshold =
        has_mask ? patient.masks->metadata().at(p == Parameter::cbf ? "cbf_below" : "tmax_above").get<double>() : 0.0;
    const auto marked = [&](double value) { return p == Parameter::cbf ? value < threshold : value > threshold; };
    const std::string nearest_name = nearest_map_spec(p).name;
    const bool has_nearest = patient.neighbours && patient.neighbours->has(nearest_name);
    if (has_nearest) errors.nearest.emplace();
    if (has_nearest) overlap.nearest.emplace();
    const double most = facts(p).paper_maximum;
    const auto truth_flow = reference.artifact ? std::filesystem::path() : patient.series.truth[index(Parameter::cbf)];
    const std::int64_t step = context.slab_slices(dims[1] * dims[2] * 13);
    for (std::int64_t z = 0; z < dims[0]; z += step) {
      const std::int64_t count = std::min(step, dims[0] - z);
      const auto inside = patient.brain.read_slab<std::uint8_t>("brain_mask", z, count);
      const auto estimates = maker.read(p, z, count);
      const auto references = reference.read(p, z, count);
      std::vector<float> true_flow;  // 0 where a phantom has no capillary bed and so no truth: CSF, large vessels
      if (!truth_flow.empty()) NiftiReader(truth_flow).read_slab(z, count, true_flow);
      if (!truth_flow.empty() && !patient.labels.levels.empty()) {
        std::vector<float> labels;
        NiftiReader(patient.series.labels).read_slab(z, count, labels);
        results.conditions.add(maker.label, p, patient.labels, labels, estimates, references, inside);
      }
      RawValues<float> nearest;
      if (has_nearest) nearest = patient.neighbours->read_slab<float>(nearest_name, z, count);
      for (std::size_t v = 0; v < inside.size(); ++v) {
        if (inside[v] == 0 || (!true_flow.empty() && true_flow[v] <= 0.0f)) continue;
        const double wanted = saturate ? std::clamp<double>(references[v], 0.0, most) : references[v];
        errors.agreement.add(estimates[v], wanted);
        histogram.add(wanted);
        if (has_mask) overlap.overlap.add(marked(references[v]), marked(estimates[v]));
        if (!has_nearest) continue;
        errors.nearest->add(nearest[v], wanted);
        if (has_mask) overlap.nearest->add(marked(references[v]), marked(nearest[v]));
      }
    }
    errors.percentile99 = histogram.percentile(99.0);
    table_of(results, maker.label, reference.label, p).patients.push_back(std::move(errors));
    if (has_mask) overlap_of(results, maker.label, reference.label, p).patients.push_back(overlap);
  }

  static void measure_volumes(StageContext& context, const Patient& patient, const std::string& maker,
                              const MapSource& cbf, const MapSource& tmax, EvaluationResults& results) {
    const auto& dims = patient.dims;
    ClinicalVolumes volumes(patient.brain.metadata().at("voxel_volume_ml"));
    const std::int64_t step = context.slab_slices(dims[1] * dims[2] * 9);
    for (const bool normal : {true, false})
      for (std::int64_t z = 0; z < dims[0]; z += step) {
        const std::int64_t count = std::min(step, dims[0] - z);
        const auto inside = patient.brain.read_slab<std::uint8_t>("brain_mask", z, count);
        const auto flow = cbf.read(Parameter::cbf, z, count), delay = tmax.read(Parameter::tmax, z, count);
        for (std::size_t v = 0; v < inside.size(); ++v) {
          if (inside[v] == 0) continue;
          if (normal)
            volumes.see_normal(flow[v], delay[v]);
          else
            volumes.add(flow[v], delay[v]);
        }
      }
    auto table = std::find_if(results.clinical.begin(), results.clinical.end(),
                              [&](const ClinicalTable& known) { return known.maker == maker; });
    if (table == results.clinical.end()) table = results.clinical.insert(table, ClinicalTable{maker, {}});
    table->patients.push_back({patient.series.name, volumes});
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(evaluation, Evaluation)

}  // namespace perfpipe
