// inference: maps by the networks, in a cross-validation each patient's by those that never saw that patient.
#include "model/inference.hpp"

#include "core/parallel.hpp"
#include "core/stage.hpp"
#include "model/bicnn.hpp"
#include "stages/maps.hpp"
#include "model/patches.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct InferenceOptions {
  std::string weights;
};

class Inference final : public StageWith<InferenceOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "inference";
    type.scope = Scope::patient;
    type.summary =
        "Estimates maps by the trained networks; in a cross-validation those whose training left this patient out.";
    type.reference = "Ho et al., ICPR 2016, section IV";
    return type;
  }
  static OptionTable<InferenceOptions> table() {
    OptionTable<InferenceOptions> t;
    t.text("weights", &InferenceOptions::weights,
           "folder with cbf.safetensors, cbv..., mtt..., tmax... (those that are there are used); empty: the networks "
           "trained in this job");
    return t;
  }

  Ports ports() const override {
    Ports ports{{{tissue_curves_spec(curve_samples)}, {aif_spec(curve_samples)}, {brain_mask_spec()}}, map_specs()};
    if (options_.weights.empty()) ports.reads.push_back({network_spec()});
    return ports;
  }
  std::vector<std::filesystem::path> files(const TaskInfo&, const Cohort&) const override {
    std::vector<std::filesystem::path> files;
    for (const auto& [parameter, file] : weight_files()) files.push_back(file);
    return files;
  }
  void check(const Cohort&, Findings& findings) const override {
    if (options_.weights.empty()) return;
    const auto files = weight_files();
    if (files.empty())
      findings.add(options_.weights,
                   "inference.weights: no cbf.safetensors, cbv.safetensors, mtt.safetensors or tmax.safetensors in "
                   "this folder; name a folder with trained weights");
    for (const auto& [parameter, file] : files) {
      try {
        check_weights(read_safetensors(file), parameter, file.string());
      } catch (const Error& error) {
        findings.add("inference.weights", error.what());
      }
    }
  }
  bool accepts_failed_inputs() const override { return true; }
  double cost(const TaskInfo&) const override { return 5.0; }

  void run(StageContext& context) const override {
    const auto engines = load_engines(context);
    if (engines.empty()) throw TaskFailure("no network is there for this patient: their trainings failed");
    for (const char* port : {"tissue_curves", "aif", "brain_mask"})
      if (context.store().inputs(port).empty())
        throw TaskFailure(fmt::format("{} of this patient failed, so there is nothing to estimate from", port));
    const auto tissue = context.store().open("tissue_curves");
    const auto mask = context.store().open("brain_mask");
    const auto aif = context.store().open("aif").read<float>("aif");
    const auto dims = tissue.dims("tissue_curves");
    const std::int64_t nz = dims[0], plane = dims[1] * dims[2];
    for (const auto& [parameter, engine] : engines)
      context.output().create(map_spec(parameter), {nz, dims[1], dims[2]});
    for (std::int64_t z = 0; z < nz; ++z) {
      if (context.stop_requested()) throw Stopped();
      const auto slice = slice_curves(tissue, z, plane);
      const auto inside = mask.read_slab<std::uint8_t>("brain_mask", z, 1);
      std::vector<std::int64_t> voxels;
      std::vector<std::int32_t> neighbours;
      for (std::int64_t v = 0; v < plane; ++v) {
        if (inside[static_cast<std::size_t>(v)] == 0) continue;
        voxels.push_back(v);
        for (std::int64_t place : patch_positions_of(v / dims[2], v % dims[2], dims[1], dims[2]))
          neighbours.push_back(static_cast<std::int32_t>(place + 1));
      }
      for (const auto& [parameter, engine] : engines) {
        std::vector<float> map(static_cast<std::size_t>(plane), 0.0f);
        parallel_blocks(
            voxels.size(), 512, context.job().threads, [&, &network = *engine](std::size_t begin, std::size_t end) {
              const auto estimates = network.estimate(slice, {neighbours.data() + begin * 9, (end - begin) * 9}, aif);
              for (std::size_t i = begin; i < end; ++i) map[static_cast<std::size_t>(voxels[i])] = estimates[i - begin];
            });
        context.output().write_slab<float>(std::string(name(parameter)), z, map);
      }
    }
    const std::string label = context.task().stage == "inference" ? "cnn" : context.task().stage;
    nlohmann::json networks = nlohmann::json::object();
    for (const auto& [parameter, engine] : engines)
      networks[std::string(name(parameter))] = {{"recipe", engine->facts().recipe},
                                                {"input_scale", engine->facts().input_scale},
                                                {"training_cohort", engine->facts().training_cohort}};
    context.output().set_metadata(
        {{label_key, label}, {"settings", {{"networks", networks}}}, {"warnings", context.warnings()}});
  }

 private:
  using Engines = std::map<Parameter, std::unique_ptr<ReferenceEngine>>;

  std::map<Parameter, std::filesystem::path> weight_files() const {
    std::map<Parameter, std::filesystem::path> files;
    if (options_.weights.empty()) return files;
    for (Parameter p : all_parameters) {
      const auto file = std::filesystem::path(options_.weights) / (std::string(name(p)) + ".safetensors");
      std::error_code error;
      if (std::filesystem::exists(file, error)) files.emplace(p, file);
    }
    return files;
  }

  Engines load_engines(StageContext& context) const {
    Engines engines;
    if (!options_.weights.empty()) {
      for (const auto& [parameter, file] : weight_files())
        engines[parameter] = std::make_unique<ReferenceEngine>(read_safetensors(file), file.string());
      return engines;
    }
    for (const auto& input : context.store().inputs("network")) {
      const auto raw = context.store().open(input).read<std::uint8_t>("network");
      engines[input.task.parameter] = std::make_unique<ReferenceEngine>(
          parse_safetensors({reinterpret_cast<const char*>(raw.data()), raw.size()}, input.file.string()),
          input.file.string());
    }
    return engines;
  }

  /// The curves of a slice [1 + plane, 70]; row 0 is zero, for what lies beyond the image.
  static std::vector<float> slice_curves(const ArtifactReader& tissue, std::int64_t z, std::int64_t plane) {
    const auto read = tissue.read_slab<float>("tissue_curves", z, 1);
    std::vector<float> curves(static_cast<std::size_t>((plane + 1) * curve_samples), 0.0f);
    std::copy(read.begin(), read.end(), curves.begin() + curve_samples);
    return curves;
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(inference, Inference)

}  // namespace perfpipe
