// evaluation: how every maker's maps agree with the targets and, for phantoms, with the truth.
#include "core/stage.hpp"
#include "formats/nifti_image.hpp"
#include "stages/evaluation_results.hpp"
#include "stages/maps.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct EvaluationOptions {
  std::string reference;
};

/// A map of one patient that can be read by slabs: a maker's, or a truth file.
struct MapSource {
  std::string label;
  std::unique_ptr<ArtifactReader> artifact;
  std::filesystem::path file;

  std::vector<float> read(Parameter p, std::int64_t z, std::int64_t count) const {
    if (artifact) return artifact->read_slab<float>(std::string(name(p)), z, count);
    NiftiReader reader(file);
    std::vector<float> values;
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
        "beside a constant predictor. Writes tables/.";
    type.reference = "Ho et al., ICPR 2016, section V.C; Bland and Altman (1986); Lin (1989)";
    return type;
  }
  static OptionTable<EvaluationOptions> table() {
    OptionTable<EvaluationOptions> t;
    t.text("reference", &EvaluationOptions::reference,
           "name of the stage whose maps are the targets; empty: the first of the job that writes maps");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (const auto& spec : map_specs()) ports.reads.push_back({spec, "", true});
    ports.reads.push_back({brain_mask_spec()});
    for (Parameter p : {Parameter::cbf, Parameter::tmax}) ports.reads.push_back({tissue_mask_spec(p), "", false, true});
    ports.writes = {results_spec()};
    return ports;
  }
  std::vector<std::filesystem::path> files(const TaskInfo&, const Cohort& cohort) const override {
    std::vector<std::filesystem::path> files;
    for (const auto& series : cohort.series)
      for (const auto& truth : series.truth)
        if (!truth.empty()) files.push_back(truth);
    return files;
  }
  bool accepts_failed_inputs() const override { return true; }

  void run(StageContext& context) const override {
    EvaluationResults results;
    for (const auto& series : context.cohort().series) evaluate_patient(context, series, results);
    if (results.errors.empty())
      context.warn("there is nothing to compare: one maker of maps, and no truth beside the series");
    evaluate_constants(results);
    const auto json = to_json(results);
    context.publish("tables/armse.csv", errors_csv(json));
    context.publish("tables/patients.csv", patients_csv(json));
    context.publish("tables/dice.csv", dice_csv(json));
    const std::string text = json.dump(1) + "\n";
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

  void evaluate_patient(StageContext& context, const Series& series, EvaluationResults& results) const {
    const auto mask_input = input_of(context, "brain_mask", series);
    if (!mask_input) return;  // this patient's import failed; the runner reports it
    const auto brain = context.store().open(*mask_input);
    const auto dims = brain.dims("brain_mask");
    std::optional<ArtifactReader> masks;
    if (const auto input = input_of(context, "cbf_mask", series)) masks = context.store().open(*input);

    for (Parameter p : all_parameters) {
      // References first: the targets (saturated to the paper's range, as the networks saw them), then the truth.
      std::vector<MapSource> makers;
      std::optional<std::size_t> target;
      for (const auto& input : context.store().inputs(std::string(name(p)))) {
        if (input.task.name != series.name) continue;
        auto reader = std::make_unique<ArtifactReader>(context.store().open(input));
        if (!reader->has(std::string(name(p)))) continue;
        if (!target && (options_.reference.empty() || input.task.stage == options_.reference)) target = makers.size();
        const std::string label = reader->metadata().at(label_key);
        makers.push_back({label, std::move(reader), {}});
      }
      for (std::size_t m = 0; m < makers.size(); ++m) {
        if (target && m != *target)
          compare(context, series, p, makers[m], makers[*target], true, brain, dims, masks, results);
        if (const auto& truth = series.truth[index(p)]; !truth.empty())
          compare(context, series, p, makers[m], MapSource{"truth", nullptr, truth}, false, brain, dims, masks,
                  results);
      }
    }
  }

  static void compare(StageContext& context, const Series& series, Parameter p, const MapSource& maker,
                      const MapSource& reference, bool saturate, const ArtifactReader& brain,
                      const std::vector<std::int64_t>& dims, const std::optional<ArtifactReader>& masks,
                      EvaluationResults& results) {
    PatientErrors errors{series.name, series.subject, {}, 0.0, 0.0};
    PatientOverlap overlap{series.name, {}, brain.metadata().at("voxel_volume_ml")};
    Histogram histogram(facts(p).paper_maximum);
    const bool has_mask = masks && (p == Parameter::cbf || p == Parameter::tmax);
    const double threshold =
        has_mask ? masks->metadata().at(p == Parameter::cbf ? "cbf_below" : "tmax_above").get<double>() : 0.0;
    const auto marked = [&](double value) { return p == Parameter::cbf ? value < threshold : value > threshold; };
    const double most = facts(p).paper_maximum;
    const auto truth_flow = reference.artifact ? std::filesystem::path() : series.truth[index(Parameter::cbf)];
    const std::int64_t step = context.slab_slices(dims[1] * dims[2] * 9);
    for (std::int64_t z = 0; z < dims[0]; z += step) {
      const std::int64_t count = std::min(step, dims[0] - z);
      const auto inside = brain.read_slab<std::uint8_t>("brain_mask", z, count);
      const auto estimates = maker.read(p, z, count);
      const auto references = reference.read(p, z, count);
      std::vector<float> true_flow;  // 0 where a phantom has no capillary bed and so no truth: CSF, large vessels
      if (!truth_flow.empty()) NiftiReader(truth_flow).read_slab(z, count, true_flow);
      for (std::size_t v = 0; v < inside.size(); ++v) {
        if (inside[v] == 0 || (!true_flow.empty() && true_flow[v] <= 0.0f)) continue;
        const double wanted = saturate ? std::clamp<double>(references[v], 0.0, most) : references[v];
        errors.agreement.add(estimates[v], wanted);
        histogram.add(wanted);
        if (has_mask) overlap.overlap.add(marked(references[v]), marked(estimates[v]));
      }
    }
    errors.percentile99 = histogram.percentile(99.0);
    table_of(results, maker.label, reference.label, p).patients.push_back(std::move(errors));
    if (has_mask) overlap_of(results, maker.label, reference.label, p).patients.push_back(overlap);
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(evaluation, Evaluation)

}  // namespace perfpipe
