// aif: the arterial input function of a series, searched for or from a table.
#include "core/stage.hpp"
#include "formats/table.hpp"
#include "stages/aif_search.hpp"
#include "stages/maps.hpp"
#include "stages/resampling.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct AifOptions {
  std::string method = "mouridsen";
};

/// Voxels [voxel, (x, y, z)] whose mean curve is the AIF; none where it comes from a table.
DatasetSpec aif_voxels_spec() {
  return {"aif_voxels",
          {"voxel", "axis"},
          "1",
          ElementType::int32,
          "voxels of the arterial input function: x, y, z, from 0"};
}

class Aif final : public StageWith<AifOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "aif";
    type.scope = Scope::patient;
    type.version = 3;
    type.summary =
        "Finds the arterial input function in the tissue curves, or reads it from a table beside the series.";
    type.reference = "Mouridsen et al., Magn Reson Med 55:524 (2006)";
    return type;
  }
  static OptionTable<AifOptions> table() {
    OptionTable<AifOptions> t;
    t.choice("method", &AifOptions::method, {"mouridsen", "file"},
             "mouridsen: automatic, by clustering; file: the table ..._aif.tsv (time_s, value) beside the series");
    return t;
  }

  Ports ports() const override {
    return {{{tissue_curves_spec()}, {brain_mask_spec()}}, {aif_spec(), aif_voxels_spec()}};
  }
  std::vector<std::filesystem::path> files(const TaskInfo& task, const Cohort& cohort) const override {
    if (options_.method != "file") return {};
    return {cohort.series[static_cast<std::size_t>(task.series)].aif};
  }
  void check(const Cohort& cohort, Findings& findings) const override {
    if (options_.method != "file") return;
    for (const auto& series : cohort.series)
      if (series.aif.empty())
        findings.add(series.image.string(),
                     "aif.method = file, but there is no table beside the series; add ..._aif.tsv (columns time_s and "
                     "value), name one in the job (cohort.patients), or set aif.method: mouridsen");
  }
  double cost(const TaskInfo&) const override { return 0.3; }

  void run(StageContext& context) const override {
    const auto tissue = context.store().open("tissue_curves");
    const std::int64_t samples = tissue.dims("tissue_curves")[3];
    const TimeGrid grid{tissue.metadata().at("start_s"), tissue.metadata().at("dt_s"), samples};
    std::vector<float> aif(static_cast<std::size_t>(samples), 0.0f);
    std::vector<std::int32_t> voxels;
    if (options_.method == "file") {
      Findings findings;
      const auto table = read_aif_table(context.series().aif, findings);
      findings.throw_if_any(ExitCode::input);
      const std::vector<float> values(table->values.begin(), table->values.end());
      Resampler(table->times, grid, false).apply(values, aif);
    } else {
      voxels = search(context, tissue, aif);
    }
    const auto peak = std::max_element(aif.begin(), aif.end());
    if (!(*peak > 0.0f))
      throw InputError(
          options_.method == "file"
              ? context.series().aif.string() +
                    ": no positive value within the time grid; expected a concentration that rises as the bolus passes"
              : context.series().image.string() +
                    ": the arterial input function has no positive value; give one by aif.method: file");
    auto& output = context.output();
    output.write<float>(aif_spec(), {samples}, aif);
    output.write<std::int32_t>(aif_voxels_spec(), {static_cast<std::int64_t>(voxels.size()) / 3, 3}, voxels);
    output.set_metadata({{"method", options_.method},
                         {"voxels", voxels.size() / 3},
                         {"peak", *peak},
                         {"start_s", grid.start},
                         {"dt_s", grid.dt},
                         {"time_to_peak_s", grid.start + grid.dt * static_cast<double>(peak - aif.begin())},
                         {"warnings", context.warnings()}});
    publish_table(context, grid, aif, voxels);
  }

 private:
  /// Two passes over the slabs: areas of all voxels of the mask, then the curves of those with the largest.
  static std::vector<std::int32_t> search(StageContext& context, const ArtifactReader& tissue,
                                          std::vector<float>& aif) {
    const auto dims = tissue.dims("tissue_curves");
    const std::int64_t nz = dims[0], plane = dims[1] * dims[2], samples = dims[3];
    const auto mask = context.store().open("brain_mask").read<std::uint8_t>("brain_mask");
    const std::int64_t step = context.slab_slices(plane * samples * static_cast<std::int64_t>(sizeof(float)));
    std::vector<float> areas;
    for (std::int64_t z = 0; z < nz; z += step) {
      const auto slab = tissue.read_slab<float>("tissue_curves", z, std::min(step, nz - z));
      for (std::size_t v = 0; v < slab.size() / static_cast<std::size_t>(samples); ++v) {
        if (mask[static_cast<std::size_t>(z * plane) + v] == 0) continue;
        double area = 0.0;
        for (std::int64_t t = 0; t < samples; ++t)
          area += slab[v * static_cast<std::size_t>(samples) + static_cast<std::size_t>(t)];
        areas.push_back(static_cast<float>(area));
      }
    }
    auto sorted = areas;
    const auto keep =
        std::max<std::size_t>(1, static_cast<std::size_t>(aif_candidate_share * static_cast<double>(sorted.size())));
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(keep) - 1, sorted.end(),
                     std::greater<>());
    const float least = std::max(sorted[keep - 1], 1e-30f);

    std::vector<float> curves;
    std::vector<std::int64_t> where;
    std::size_t next = 0;
    for (std::int64_t z = 0; z < nz; z += step) {
      const auto slab = tissue.read_slab<float>("tissue_curves", z, std::min(step, nz - z));
      for (std::size_t v = 0; v < slab.size() / static_cast<std::size_t>(samples); ++v) {
        const auto voxel = static_cast<std::size_t>(z * plane) + v;
        if (mask[voxel] == 0 || areas[next++] < least) continue;
        where.push_back(static_cast<std::int64_t>(voxel));
        const auto* const curve = slab.data() + v * static_cast<std::size_t>(samples);
        curves.insert(curves.end(), curve, curve + samples);
      }
    }
    if (where.empty())
      throw InputError(context.series().image.string() +
                       ": no voxel of the mask has a positive area under its curve, so no artery can be found; check "
                       "the mask and `kind`");
    const auto chosen = mouridsen_select(curves, samples);
    std::vector<double> sum(static_cast<std::size_t>(samples), 0.0);
    std::vector<std::int32_t> voxels;
    for (auto row : chosen) {
      for (std::int64_t t = 0; t < samples; ++t)
        sum[static_cast<std::size_t>(t)] += curves[static_cast<std::size_t>(row * samples + t)];
      const auto voxel = where[static_cast<std::size_t>(row)];
      voxels.insert(voxels.end(),
                    {static_cast<std::int32_t>(voxel % dims[2]), static_cast<std::int32_t>(voxel / dims[2] % dims[1]),
                     static_cast<std::int32_t>(voxel / plane)});
    }
    for (std::size_t t = 0; t < aif.size(); ++t)
      aif[t] = static_cast<float>(sum[t] / static_cast<double>(chosen.size()));
    return voxels;
  }

  static void publish_table(StageContext& context, const TimeGrid& grid, const std::vector<float>& aif,
                            const std::vector<std::int32_t>& voxels) {
    std::vector<double> times, values(aif.begin(), aif.end());
    for (std::size_t i = 0; i < aif.size(); ++i) times.push_back(grid.start + grid.dt * static_cast<double>(i));
    const auto folder =
        std::filesystem::path("derivatives") / context.series().subject / context.series().session / "perf";
    const auto stem = context.series().name + (context.task().stage == "aif" ? "" : "_desc-" + context.task().stage);
    context.publish(folder / (stem + "_aif.tsv"), format_tsv({"time_s", "value"}, {times, values}));
    nlohmann::json list = nlohmann::json::array();
    for (std::size_t i = 0; i + 2 < voxels.size(); i += 3) list.push_back({voxels[i], voxels[i + 1], voxels[i + 2]});
    context.publish(
        folder / (stem + "_aif.json"),
        nlohmann::json{{"Description", "Arterial input function; voxels are x, y, z from 0"}, {"Voxels", list}}.dump(
            1) +
            "\n");
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(aif, Aif)

}  // namespace perfpipe
