// bsvd_targets: perfusion maps by deconvolution, which the networks learn from, or maps of other software.
#include "core/stage.hpp"
#include "formats/nifti_image.hpp"
#include "stages/deconvolution.hpp"
#include "stages/maps.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct TargetOptions {
  std::string method = "bsvd";
  double threshold = 0.1;
  double hematocrit_factor = 0.73;
  double density = 1.04;
  std::string tmax = "integer";
};

class BsvdTargets final : public StageWith<TargetOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "bsvd_targets";
    type.scope = Scope::patient;
    type.summary = "Deconvolves the tissue curves by the AIF: maps of CBF, CBV, MTT and Tmax.";
    type.reference = "Wu et al., Magn Reson Med 50:164 (2003)";
    return type;
  }
  static OptionTable<TargetOptions> table() {
    OptionTable<TargetOptions> t;
    t.choice("method", &TargetOptions::method, {"bsvd", "file"},
             "bsvd: block-circulant SVD; file: maps of other software beside the series "
             "(..._desc-target_{cbf,cbv,mtt,tmax}.nii.gz, or ISLES'24 perfusion-maps)");
    t.number("threshold", &TargetOptions::threshold, {0.0, 1.0, true, true}, "of the largest singular value",
             "singular values below are cut off");
    t.number("hematocrit_factor", &TargetOptions::hematocrit_factor, {0.1, 2.0}, "",
             "kH (CAPLEX Q.PH1.013), applied to CBF and CBV");
    t.number("density", &TargetOptions::density, {0.5, 2.0}, "g/ml", "density of brain tissue, applied to CBF and CBV");
    t.choice("tmax", &TargetOptions::tmax, {"integer", "subsample"},
             "the sample of the maximum (as the paper), or the vertex of a parabola through three samples");
    return t;
  }

  Ports ports() const override { return {{{tissue_curves_spec()}, {aif_spec()}, {brain_mask_spec()}}, map_specs()}; }
  std::vector<std::filesystem::path> files(const TaskInfo& task, const Cohort& cohort) const override {
    if (options_.method != "file") return {};
    const auto& target = cohort.series[static_cast<std::size_t>(task.series)].target;
    return {target.begin(), target.end()};
  }
  void check(const Cohort& cohort, Findings& findings) const override {
    if (options_.method != "file") return;
    for (const auto& series : cohort.series)
      for (Parameter p : all_parameters)
        if (series.target[index(p)].empty())
          findings.add(
              series.image.string(),
              fmt::format(
                  "bsvd_targets.method = file, but there is no {} map beside the series; add ..._desc-target_{}.nii.gz",
                  facts(p).label, name(p)));
  }
  double cost(const TaskInfo&) const override { return 0.3; }

  void run(StageContext& context) const override {
    if (options_.method == "file") return copy_maps(context);
    const auto tissue = context.store().open("tissue_curves");
    const auto mask = context.store().open("brain_mask");
    const auto aif = context.store().open("aif").read<float>("aif");
    const auto dims = tissue.dims("tissue_curves");
    const std::int64_t nz = dims[0], plane = dims[1] * dims[2], samples = dims[3];
    const auto op = bsvd_operator(aif, tissue.metadata().at("dt_s"), options_.threshold);
    const ParameterScale scale{options_.hematocrit_factor, options_.density, options_.tmax == "subsample"};

    auto& output = context.output();
    for (const auto& spec : map_specs()) output.create(spec, {nz, dims[1], dims[2]});
    std::int64_t negative = 0;
    const std::int64_t step = context.slab_slices(plane * samples * static_cast<std::int64_t>(sizeof(float)));
    for (std::int64_t z = 0; z < nz; z += step) {
      const std::int64_t count = std::min(step, nz - z);
      const auto curves = tissue.read_slab<float>("tissue_curves", z, count);
      const auto inside = mask.read_slab<std::uint8_t>("brain_mask", z, count);
      std::array<std::vector<float>, 4> maps;
      for (auto& map : maps) map.resize(inside.size());
      negative += deconvolve(op, curves, scale, context.job().threads, {maps[0], maps[1], maps[2], maps[3]});
      for (Parameter p : all_parameters) {
        auto& map = maps[index(p)];
        for (std::size_t v = 0; v < map.size(); ++v)
          if (inside[v] == 0) map[v] = 0.0f;
        output.write_slab<float>(std::string(name(p)), z, map);
      }
    }
    if (negative > 0)
      context.log().info(
          fmt::format("{}: {} voxel(s) with a negative delay have Tmax 0", context.task().id(), negative));
    finish(context, negative);
  }

 private:
  void finish(StageContext& context, std::int64_t negative) const {
    const std::string label = context.task().stage == "bsvd_targets"
                                  ? (options_.method == "file" ? "target" : options_.method)
                                  : context.task().stage;
    context.output().set_metadata({{label_key, label},
                                   {"settings", parameters()},
                                   {"negative_delays", negative},
                                   {"warnings", context.warnings()}});
  }

  void copy_maps(StageContext& context) const {
    const auto mask = context.store().open("brain_mask").read<std::uint8_t>("brain_mask");
    for (Parameter p : all_parameters) {
      NiftiReader reader(context.series().target[index(p)]);
      const auto extent = reader.extent();
      std::vector<float> map;
      reader.read_slab(0, extent[2], map);
      for (std::size_t v = 0; v < map.size(); ++v)
        if (mask[v] == 0 || !std::isfinite(map[v])) map[v] = 0.0f;
      context.output().write<float>(map_spec(p), {extent[2], extent[1], extent[0]}, map);
    }
    finish(context, 0);
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(bsvd_targets, BsvdTargets)

}  // namespace perfpipe
