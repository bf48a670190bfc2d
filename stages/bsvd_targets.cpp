// bsvd_targets: perfusion maps by deconvolution, which the networks learn from, or maps of other software.
#include "core/shared_slabs.hpp"
#include "formats/nifti_image.hpp"
#include "formats/sidecar.hpp"
#include "model/linear_cuda.hpp"
#include "stages/deconvolution_linear.hpp"
#include "stages/deconvolution_methods.hpp"
#include "stages/maps.hpp"
#include "stages/target_units.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct TargetOptions : DeconvolutionOptions {
  TargetOptions() { threshold = default_threshold("bsvd"); }
  double hematocrit_factor = 0.73;
  double density = 1.04;
  std::string tmax = "integer";
  bool residue = false;
  std::string cbf_units = "sidecar", cbv_units = "sidecar", mtt_units = "sidecar", tmax_units = "sidecar";

  const std::string& units(Parameter p) const {
    return *std::array{&cbf_units, &cbv_units, &mtt_units, &tmax_units}[index(p)];
  }
};

/// Scaled residue functions k(t) = CBF · R(t), R CAPLEX Q.IC1.002 (z, y, x, time); a second half of the time axis is
/// negative times.
DatasetSpec residue_spec() {
  return {"residue", {"z", "y", "x", "time"}, "1/s", ElementType::float32, "residue function scaled by CBF"};
}
DatasetSpec extra_spec(const ExtraMap& map) {
  return {map.name, {"z", "y", "x"}, map.units, ElementType::float32, map.long_name};
}

class BsvdTargets final : public StageWith<TargetOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "bsvd_targets";
    type.scope = Scope::patient;
    type.version = 5;
    type.summary = "Deconvolves the tissue curves by the AIF: maps of CBF, CBV, MTT and Tmax.";
    type.reference =
        "bsvd, osvd: Wu et al., Magn Reson Med 50:164 (2003); ssvd: Ostergaard et al., Magn Reson Med 36:715 (1996); "
        "tikhonov: Calamante et al., Magn Reson Med 50:1237 (2003); gp: Andersen et al., Magn Reson Med 48:351 (2002); "
        "bayes: after Boutelier et al., IEEE Trans Med Imaging 31:1381 (2012); gamma_variate: Thompson et al., Circ "
        "Res 14:502 (1964)";
    return type;
  }
  /// A threshold that the job leaves out is the method's own, and stands so in every output.
  static void complete(ConfigNode& options, Findings&) {
    const ConfigNode* method = options.find("method");
    const double own = method == nullptr ? 0.0 : default_threshold(method->text);
    if (own > 0.0) options.set_default("threshold", fmt::format("{}", own));
  }
  static OptionTable<TargetOptions> table() {
    OptionTable<TargetOptions> t;
    using O = TargetOptions;
    auto methods = deconvolution_methods();
    methods.emplace_back("file");
    t.choice("method", &O::method, methods,
             "bsvd: block-circulant SVD; ssvd: SVD of the plain convolution, in error where tissue is ahead of the "
             "artery; dsvd: ssvd after the delay is found; osvd: bsvd, truncated voxel by voxel until k is smooth; "
             "tikhonov; gp: Gaussian process by marginal likelihood; bayes: average over delays and smooth k, with "
             "credible intervals; gamma_variate: fits to the first passages, then bsvd; file: maps of other software "
             "beside the series and on its grid (..._desc-target_{cbf,cbv,mtt,tmax}.nii.gz, or ISLES'24 "
             "perfusion-maps)");
    t.number(
        "threshold", &O::threshold, {0.0, 1.0, true, true}, "of the largest singular value",
        "bsvd, ssvd, dsvd, gamma_variate: singular values below are cut off; osvd: where the search starts; "
        "tikhonov, fixed: its weight; where it is left out: the method's own (bsvd, gamma_variate, tikhonov 0.1; ssvd, "
        "dsvd 0.2; osvd 0.01)");
    t.number("oscillation", &O::oscillation, {0.0, 1.0, true}, "",
             "osvd: limit of the oscillation index (Wu: 0.035; 0.095 at low SNR)");
    t.choice("length", &O::length, {"2N", "N"},
             "osvd, circulant tikhonov: the AIF is zero-padded to twice its samples, or not: then k wraps around");
    t.choice("regularisation", &O::regularisation, {"lcurve", "fixed"},
             "tikhonov: weight at the corner of each voxel's L-curve, or the threshold");
    t.choice("form", &O::form, {"circulant", "standard"},
             "tikhonov: of the convolution matrix, as bsvd's or as ssvd's");
    t.flag("smooth_aif", &O::smooth_aif,
           "weigh each sample of the AIF with its neighbours, 1 : 4 : 1, as ssvd's paper");
    t.number("delay_low", &O::delay_low, {-15.0, 0.0}, "s", "dsvd, bayes: earliest arrival relative to the artery");
    t.number("delay_high", &O::delay_high, {0.0, 30.0}, "s", "dsvd, bayes: latest arrival relative to the artery");
    t.number("hematocrit_factor", &O::hematocrit_factor, {0.1, 2.0}, "",
             "kH (CAPLEX Q.PH1.013), applied to CBF and CBV");
    t.number("density", &O::density, {0.5, 2.0}, "g/ml",
             "density of brain tissue (CAPLEX Q.PH1.011), applied to CBF and CBV");
    t.choice("tmax", &O::tmax, {"integer", "subsample"},
             "the sample of the maximum (as the paper), or the vertex of a parabola through three samples");
    const auto units = [&](Parameter p, std::string O::*member) {
      auto choices = target_units(p);
      choices.insert(choices.begin(), "sidecar");
      t.choice(
          std::string(name(p)) + "_units", member, choices,
          fmt::format("file: units of its {} map; sidecar: the Units of the JSON beside it, or {} where it has none",
                      facts(p).label, facts(p).units));
    };
    units(Parameter::cbf, &O::cbf_units);
    units(Parameter::cbv, &O::cbv_units);
    units(Parameter::mtt, &O::mtt_units);
    units(Parameter::tmax, &O::tmax_units);
    t.flag("residue", &O::residue, "keep the residue functions in the store");
    return t;
  }

  Ports ports() const override {
    auto writes = map_specs();
    for (const auto& map : extra_maps(options_)) writes.push_back(extra_spec(map));
    if (options_.residue && options_.method != "file") writes.push_back(residue_spec());
    return {{{tissue_curves_spec()}, {aif_spec()}, {brain_mask_spec()}}, writes};
  }
  std::vector<std::filesystem::path> files(const TaskInfo& task, const Cohort& cohort) const override {
    if (options_.method != "file") return {};
    const auto& target = cohort.series[static_cast<std::size_t>(task.series)].target;
    std::vector<std::filesystem::path> files;
    for (const auto& map : target) {
      if (map.empty()) continue;
      files.push_back(map);
      if (std::filesystem::exists(sidecar_of(map))) files.push_back(sidecar_of(map));
    }
    return files;
  }
  void check(const Cohort& cohort, Findings& findings) const override {
    if (options_.method != "file") return;
    for (const auto& series : cohort.series)
      for (Parameter p : all_parameters) {
        const auto& map = series.target[index(p)];
        if (map.empty() && p != Parameter::tmax && one_follows_from_others(series.target)) continue;
        if (map.empty())
          findings.add(
              series.image.string(),
              fmt::format("bsvd_targets.method = file, but there is no {} map on its grid beside the series; "
                          "add ..._desc-target_{}.nii.gz{}",
                          facts(p).label, name(p),
                          p == Parameter::tmax ? "" : " (one of CBF, CBV and MTT follows from the other two)"));
        else if (const auto units = given_units(p, map, findings);
                 !units.empty() && !target_factor(p, units, options_.density))
          findings.add(sidecar_of(map).string(),
                       fmt::format("Units = \"{}\" of a {} map; known are {}: correct them, or give "
                                   "bsvd_targets.{}_units",
                                   units, facts(p).label, fmt::join(target_units(p), ", "), name(p)));
      }
  }
  DeviceUse device_use() const override {
    const bool one_matrix = options_.method == "bsvd" || options_.method == "ssvd" ||
                            (options_.method == "tikhonov" && options_.regularisation == "fixed");
    return one_matrix && !options_.residue ? DeviceUse::same_bits : DeviceUse::none;
  }
  double cost(const TaskInfo&) const override { return options_.method == "bayes" ? 3.0 : 0.3; }
  /// The others take as long as reading their curves.
  int max_ranks(const TaskInfo&) const override { return options_.method == "bayes" ? 8 : 1; }

  void run(StageContext& context) const override {
    if (options_.method == "file") return copy_maps(context);
    const auto tissue = context.store().open("tissue_curves");
    const auto mask = context.store().open("brain_mask");
    const auto aif = context.store().open("aif").read<float>("aif");
    const auto dims = tissue.dims("tissue_curves");
    const std::int64_t nz = dims[0], plane = dims[1] * dims[2], samples = dims[3];
    const auto method = make_deconvolution(options_, aif, tissue.metadata().at("dt_s"));
    const ParameterScale scale{options_.hematocrit_factor, options_.density, options_.tmax == "subsample"};
    const auto extras = extra_maps(options_);
    const auto on_gpu = for_gpu(context.job().device, *method, scale);  // null: on the CPU

    auto& output = context.output();
    const std::vector<std::int64_t> volume{nz, dims[1], dims[2]};
    for (const auto& spec : map_specs()) output.create(spec, volume);
    for (const auto& map : extras) output.create(extra_spec(map), volume);
    const std::int64_t length = options_.residue ? method->length() : 0;
    if (options_.residue) output.create(residue_spec(), {nz, dims[1], dims[2], length});
    std::int64_t negative = 0;
    const std::int64_t step =
        context.slab_slices(plane * (samples + length) * static_cast<std::int64_t>(sizeof(float)));
    const auto read = [&](std::int64_t z, std::int64_t count) {
      return std::pair(tissue.read_slices("tissue_curves", z, count),
                       mask.read_slab<std::uint8_t>("brain_mask", z, count));
    };
    const auto compute = [&](std::int64_t, std::int64_t, const auto& slab) {
      if (context.stop_requested()) throw Stopped();
      const auto& [curves, inside] = slab;
      std::array<std::vector<float>, 4> maps;
      std::vector<std::vector<float>> more(extras.size(), std::vector<float>(inside.size(), 0.0f));
      std::vector<float> residues(inside.size() * static_cast<std::size_t>(length), 0.0f);
      for (auto& map : maps) map.assign(inside.size(), 0.0f);
      if (on_gpu)
        negative += on_gpu->compute(curves, inside, context.job().threads, {maps[0], maps[1], maps[2], maps[3]});
      else
        negative += deconvolve(*method, curves, inside, static_cast<std::size_t>(plane), scale, context.job().threads,
                               {{maps[0], maps[1], maps[2], maps[3]}, {more.begin(), more.end()}, residues});
      std::vector<float> all;
      for (const auto& map : maps) all.insert(all.end(), map.begin(), map.end());
      for (const auto& map : more) all.insert(all.end(), map.begin(), map.end());
      all.insert(all.end(), residues.begin(), residues.end());
      return all;
    };
    std::vector<SliceDataset> datasets;
    for (Parameter p : all_parameters) datasets.push_back({std::string(name(p)), static_cast<std::size_t>(plane)});
    for (const auto& map : extras) datasets.push_back({map.name, static_cast<std::size_t>(plane)});
    if (options_.residue) datasets.push_back({"residue", static_cast<std::size_t>(plane * length)});
    for_each_shared_slab(context, nz, step, read, compute,
                         [&](std::int64_t z, std::int64_t count, std::span<const float> all) {
                           write_slices(output, datasets, z, count, all);
                         });
    sum_over_group(context, {&negative, 1});
    if (!context.is_first_of_group()) return;
    if (negative > 0)
      context.log().info(
          fmt::format("{}: {} voxel(s) with a negative delay have Tmax 0", context.task().id(), negative));
    finish(context, negative);
  }

 private:
  std::unique_ptr<CudaLinearMaps> for_gpu(const Device& device, const Deconvolution& method,
                                          const ParameterScale& scale) const {
    const auto* const linear = dynamic_cast<const LinearDeconvolution*>(&method);
    if (!device.cuda || device_use() == DeviceUse::none || linear == nullptr) return nullptr;
    const auto op = linear->for_gpu(scale);
    if (!CudaLinearMaps::fits(op)) return nullptr;
    return std::make_unique<CudaLinearMaps>(op, device.index);
  }

  void finish(StageContext& context, std::int64_t negative) const {
    const std::string label = context.task().stage == "bsvd_targets"
                                  ? (options_.method == "file" ? "target" : options_.method)
                                  : context.task().stage;
    nlohmann::json extras = nlohmann::json::array();
    for (const auto& map : extra_maps(options_))
      extras.push_back({{"name", map.name}, {"units", map.units}, {"long_name", map.long_name}});
    context.output().set_metadata({{label_key, label},
                                   {"extra_maps", extras},
                                   {"settings", parameters()},
                                   {"negative_delays", negative},
                                   {"warnings", context.warnings()}});
  }

  static std::filesystem::path sidecar_of(const std::filesystem::path& map) {
    return map.parent_path() / (nifti_stem(map) + ".json");
  }
  /// Units of a map by the job, else by its sidecar; empty if neither says: then they are ours.
  std::string given_units(Parameter p, const std::filesystem::path& map, Findings& findings) const {
    if (options_.units(p) != "sidecar") return options_.units(p);
    const auto sidecar = sidecar_of(map);
    return std::filesystem::exists(sidecar) ? read_sidecar(sidecar, findings).units : std::string();
  }

  void copy_maps(StageContext& context) const {
    const auto mask = context.store().open("brain_mask").read<std::uint8_t>("brain_mask");
    std::array<std::vector<float>, 4> maps;
    std::array<std::int64_t, 3> extent{};
    for (Parameter p : all_parameters) {
      const auto& file = context.series().target[index(p)];
      if (file.empty()) continue;
      NiftiReader reader(file);
      extent = reader.extent();
      auto& map = maps[index(p)];
      reader.read_slab(0, extent[2], map);
      Findings findings;
      auto units = given_units(p, file, findings);
      if (units.empty()) {
        units = facts(p).units;
        context.warn(
            fmt::format("the {} map has no units, neither in a JSON beside it nor in the job "
                        "(bsvd_targets.{}_units): taken for {}",
                        facts(p).label, name(p), units));
      }
      const double factor = target_factor(p, units, options_.density).value();
      std::int64_t not_finite = 0;
      for (std::size_t v = 0; v < map.size(); ++v) {
        not_finite += mask[v] != 0 && !std::isfinite(map[v]);
        map[v] = mask[v] == 0 || !std::isfinite(map[v]) ? 0.0f : static_cast<float>(factor * map[v]);
      }
      if (not_finite > 0)
        context.warn(
            fmt::format("{} voxel(s) of the {} map are not finite and count as 0", not_finite, facts(p).label));
      context.log().info(fmt::format("{}: {} map in {}", context.task().id(), facts(p).label, units));
    }
    if (const auto made = fill_by_central_volume(maps))
      context.warn(
          fmt::format("there is no {} map: it is computed from the other two of CBF, CBV and MTT", facts(*made).label));
    for (Parameter p : all_parameters)
      context.output().write<float>(map_spec(p), {extent[2], extent[1], extent[0]}, maps[index(p)]);
    finish(context, 0);
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(bsvd_targets, BsvdTargets)

}  // namespace perfpipe
