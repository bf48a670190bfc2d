// aif: the arterial input function of a series: searched for, marked by the user, or from a table.
#include "core/stage.hpp"
#include "formats/nifti_image.hpp"
#include "formats/table.hpp"
#include "stages/aif_peruzzo.hpp"
#include "stages/aif_quality.hpp"
#include "stages/aif_search.hpp"
#include "stages/curve_slabs.hpp"
#include "stages/maps.hpp"
#include "stages/resampling.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct AifOptions {
  std::string method = "mouridsen";
  std::string roi;
  PointsByName voxels;
  std::string vof = "none";
  std::string vof_file;
};

/// Voxels [voxel, (x, y, z)] whose mean curve is the AIF; none where it comes from a table.
DatasetSpec aif_voxels_spec() {
  return {"aif_voxels",
          {"voxel", "axis"},
          "1",
          ElementType::int32,
          "voxels of the arterial input function: x, y, z, from 0"};
}

/// "masks/{}_artery.nii.gz" with the series' name in the place of {}.
std::filesystem::path for_series(std::string pattern, const Series& series) {
  for (auto at = pattern.find("{}"); at != std::string::npos; at = pattern.find("{}", at + series.name.size()))
    pattern.replace(at, 2, series.name);
  return pattern;
}

std::vector<float> from_table(const std::filesystem::path& file, const TimeGrid& grid) {
  Findings findings;
  const auto table = read_aif_table(file, findings);
  findings.throw_if_any(ExitCode::input);
  const std::vector<float> values(table->values.begin(), table->values.end());
  std::vector<float> curve(static_cast<std::size_t>(grid.samples));
  Resampler(table->times, grid, false).apply(values, curve);
  return curve;
}

class Aif final : public StageWith<AifOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "aif";
    type.scope = Scope::patient;
    type.version = 5;
    type.summary =
        "Finds the arterial input function in the tissue curves, or takes it from marked voxels or a table; says how "
        "good it looks.";
    type.reference =
        "mouridsen: Mouridsen et al., Magn Reson Med 55:524 (2006); peruzzo: Peruzzo et al., Comput Methods Programs "
        "Biomed 104:e148 (2011)";
    return type;
  }
  static OptionTable<AifOptions> table() {
    OptionTable<AifOptions> t;
    t.choice("method", &AifOptions::method, {"mouridsen", "peruzzo", "roi", "voxels", "file"},
             "mouridsen: automatic, by k-means; peruzzo: automatic, by halving clusters in the middle of the brain; "
             "roi: mean over a mask; voxels: mean over a list; file: the table ..._aif.tsv (time_s, value) beside the "
             "series");
    t.text("roi", &AifOptions::roi,
           "roi: NIfTI mask in the geometry of the series, above 0.5 inside; {} stands for the series' name");
    t.points(
        "voxels", &AifOptions::voxels,
        "voxels: [[x, y, z], ...] in the image's own axes, from 0, for every patient, or a map from names to lists");
    t.choice("vof", &AifOptions::vof, {"none", "auto", "file"},
             "venous output function, by whose area the AIF is scaled up (partial volume): none; auto: the late curves "
             "with the largest areas; file: vof_file");
    t.text("vof_file", &AifOptions::vof_file,
           "vof: file: table with the columns time_s and value; {} stands for the series' name");
    return t;
  }

  Ports ports() const override {
    return {{{tissue_curves_spec()}, {brain_mask_spec()}}, {aif_spec(), aif_voxels_spec()}};
  }
  std::vector<std::filesystem::path> files(const TaskInfo& task, const Cohort& cohort) const override {
    const Series& series = cohort.series[static_cast<std::size_t>(task.series)];
    std::vector<std::filesystem::path> files;
    if (options_.method == "file") files.push_back(series.aif);
    if (options_.method == "roi") files.push_back(for_series(options_.roi, series));
    if (options_.vof == "file") files.push_back(for_series(options_.vof_file, series));
    return files;
  }
  void check(const Cohort& cohort, Findings& findings) const override {
    for (const auto& series : cohort.series) {
      const std::string image = series.image.string();
      if (options_.method == "file" && series.aif.empty())
        findings.add(image,
                     "aif.method = file, but there is no table beside the series; add ..._aif.tsv (columns time_s and "
                     "value), name one in the job (cohort.patients), or set aif.method: mouridsen");
      if (options_.method == "roi") check_roi(series, findings);
      if (options_.method == "voxels") check_voxels(series, findings);
      if (options_.vof == "file") {
        const auto file = for_series(options_.vof_file, series);
        if (options_.vof_file.empty())
          findings.add(image, "aif.vof = file, but aif.vof_file is empty; name a table (columns time_s and value)");
        else if (const auto table = read_aif_table(file, findings); table && !series.times.empty())
          check_aif_coverage(*table, file, series.times, series.repetition_time, findings);
      }
    }
  }
  double cost(const TaskInfo&) const override { return 0.3; }

  void run(StageContext& context) const override {
    const auto tissue = context.store().open("tissue_curves");
    const CurveSlabs slabs(context, tissue);
    const TimeGrid grid{tissue.metadata().at("start_s"), tissue.metadata().at("dt_s"), slabs.samples()};
    const auto mask = context.store().open("brain_mask").read<std::uint8_t>("brain_mask");
    std::vector<std::int64_t> where;
    auto aif = options_.method == "file" ? from_table(context.series().aif, grid) : pick(context, slabs, mask, where);
    if (!(*std::max_element(aif.begin(), aif.end()) > 0.0f))
      throw InputError(
          options_.method == "file"
              ? context.series().aif.string() +
                    ": no positive value within the time grid; expected a concentration that rises as the bolus passes"
              : context.series().image.string() +
                    ": the arterial input function has no positive value; give one by aif.method: file");
    const double scale = options_.vof == "none" ? 1.0 : venous_scale(context, slabs, mask, grid, aif);
    for (float& a : aif) a = static_cast<float>(scale * a);

    const auto quality = aif_quality(aif, grid.dt);
    for (const auto& doubt :
         aif_doubts(quality, grid.dt * static_cast<double>(grid.samples - 1), mean_peak(slabs, mask, grid)))
      context.warn(doubt);
    write(context, slabs.extent(), grid, aif, where, quality, scale);
  }

 private:
  void check_roi(const Series& series, Findings& findings) const {
    if (options_.roi.empty()) {
      findings.add(series.image.string(),
                   "aif.method = roi, but aif.roi is empty; name a NIfTI mask ({} stands for the "
                   "series' name)");
      return;
    }
    const auto file = for_series(options_.roi, series);
    try {
      const auto extent = NiftiReader(file).extent();
      if (extent != series.extent)
        findings.add(file.string(), fmt::format("a mask of {}x{}x{} voxels, and the series {} has {}x{}x{}; draw it on "
                                                "the series",
                                                extent[0], extent[1], extent[2], series.name, series.extent[0],
                                                series.extent[1], series.extent[2]));
    } catch (const Error& error) {
      findings.add(file.string(), error.what());
    }
  }
  const std::vector<Point>* voxels_of(const Series& series) const {
    for (const auto& name :
         {series.name, series.subject, series.name.substr(series.name.starts_with("sub-") ? 4 : 0), std::string()})
      if (const auto found = options_.voxels.find(name); found != options_.voxels.end()) return &found->second;
    return nullptr;
  }
  void check_voxels(const Series& series, Findings& findings) const {
    const auto* const points = voxels_of(series);
    if (points == nullptr) {
      findings.add(series.image.string(), "aif.method = voxels, but aif.voxels has none for " + series.name +
                                              "; give [[x, y, z], ...], or a map from patients to such lists");
      return;
    }
    for (const auto& p : *points)
      for (std::size_t axis = 0; axis < 3; ++axis)
        if (p[axis] >= series.extent[axis])
          findings.add(
              series.image.string(),
              fmt::format("aif.voxels: [{}, {}, {}] lies outside the series of {}x{}x{} voxels (counted from 0)", p[0],
                          p[1], p[2], series.extent[0], series.extent[1], series.extent[2]));
  }

  /// The mean curve of the voxels that the method chooses; `where` becomes these.
  std::vector<float> pick(StageContext& context, const CurveSlabs& slabs, const std::vector<std::uint8_t>& mask,
                          std::vector<std::int64_t>& where) const {
    std::vector<std::int64_t> rows;
    Candidates candidates;
    if (options_.method == "mouridsen" || options_.method == "peruzzo") {
      const bool mouridsen = options_.method == "mouridsen";
      candidates = slabs.largest(mouridsen ? mask : central_ellipse(mask, slabs.extent()),
                                 mouridsen ? aif_candidate_share : 1.0);
      if (candidates.where.empty())
        throw InputError(context.series().image.string() +
                         ": no voxel of the mask has a positive area under its curve, so no artery can be found; check "
                         "the mask and `kind`");
      rows = mouridsen ? mouridsen_select(candidates.curves, slabs.samples())
                       : peruzzo_select(candidates.curves, slabs.samples());
    } else {
      const auto marked = options_.method == "roi" ? roi_flags(context.series(), mask.size())
                                                   : voxel_flags(context.series(), slabs.extent());
      auto inside = marked;
      for (std::size_t v = 0; v < inside.size(); ++v) inside[v] = marked[v] != 0 && mask[v] != 0;
      slabs.for_each(inside, [&](std::int64_t voxel, std::span<const float> curve) {
        candidates.where.push_back(voxel);
        candidates.curves.insert(candidates.curves.end(), curve.begin(), curve.end());
      });
      rows.resize(candidates.where.size());
      std::iota(rows.begin(), rows.end(), 0);
      const auto wanted = std::count_if(marked.begin(), marked.end(), [](auto m) { return m != 0; });
      if (rows.empty())
        throw InputError(
            fmt::format("{}: none of the {} voxels that aif.{} marks lies in the brain mask with usable "
                        "samples; mark others, or set import.mask: none",
                        context.series().image.string(), wanted, options_.method));
      if (static_cast<std::ptrdiff_t>(rows.size()) < wanted)
        context.warn(fmt::format("{} of the {} voxels that aif.{} marks lie outside the brain mask and are left out",
                                 wanted - static_cast<std::ptrdiff_t>(rows.size()), wanted, options_.method));
    }
    for (auto row : rows) where.push_back(candidates.where[static_cast<std::size_t>(row)]);
    return mean_of(candidates, rows, slabs.samples());
  }
  std::vector<std::uint8_t> roi_flags(const Series& series, std::size_t voxels) const {
    NiftiReader reader(for_series(options_.roi, series));
    std::vector<float> values;
    reader.read_slab(0, reader.extent()[2], values);
    std::vector<std::uint8_t> flags(voxels, 0);
    for (std::size_t v = 0; v < voxels; ++v) flags[v] = values[v] > 0.5f;
    return flags;
  }
  std::vector<std::uint8_t> voxel_flags(const Series& series, const Extent& extent) const {
    std::vector<std::uint8_t> flags(static_cast<std::size_t>(extent[0] * extent[1] * extent[2]), 0);
    for (const auto& p : *voxels_of(series))
      flags[static_cast<std::size_t>((p[2] * extent[1] + p[1]) * extent[2] + p[0])] = 1;
    return flags;
  }

  /// CAPLEX Q.AE1.005: ∫VOF / ∫AIF where it is above 1: an artery that fills its voxels in part has too small an area,
  /// a sinus does not.
  double venous_scale(StageContext& context, const CurveSlabs& slabs, const std::vector<std::uint8_t>& mask,
                      const TimeGrid& grid, const std::vector<float>& aif) const {
    std::vector<float> vof;
    if (options_.vof == "file") {
      vof = from_table(for_series(options_.vof_file, context.series()), grid);
    } else {
      const auto candidates = slabs.largest(mask, aif_candidate_share);
      const auto rows =
          venous_rows(candidates.curves, slabs.samples(), std::max_element(aif.begin(), aif.end()) - aif.begin());
      if (rows.empty()) {
        context.warn("no venous output function was found behind the arterial one: the AIF is not scaled by it");
        return 1.0;
      }
      vof = mean_of(candidates, rows, slabs.samples());
    }
    const double ratio = static_cast<double>(curve_area(vof)) / curve_area(aif);
    if (ratio > 1.0) return ratio;
    context.warn(
        fmt::format("the venous output function has {:.2f} of the AIF's area, and a vein cannot have less than "
                    "its artery: the AIF is not scaled by it",
                    ratio));
    return 1.0;
  }

  /// Time to the peak of the mean curve over the mask, in s from the grid's first sample; nothing without a peak.
  static std::optional<double> mean_peak(const CurveSlabs& slabs, const std::vector<std::uint8_t>& mask,
                                         const TimeGrid& grid) {
    const auto mean = slabs.sum(mask);
    const auto top = std::max_element(mean.begin(), mean.end());
    if (!(*top > 0.0)) return std::nullopt;
    return grid.dt * static_cast<double>(top - mean.begin());
  }

  void write(StageContext& context, const Extent& extent, const TimeGrid& grid, const std::vector<float>& aif,
             const std::vector<std::int64_t>& where, const AifQuality& quality, double scale) const {
    std::vector<std::int32_t> voxels;
    nlohmann::json list = nlohmann::json::array();
    for (const auto v : where) {
      const std::array<std::int64_t, 3> p{v % extent[2], v / extent[2] % extent[1], v / (extent[1] * extent[2])};
      for (auto x : p) voxels.push_back(static_cast<std::int32_t>(x));
      list.push_back(p);
    }
    std::vector<double> times, values(aif.begin(), aif.end()), fit;
    for (std::int64_t i = 0; i < grid.samples; ++i) {
      const double t = grid.dt * static_cast<double>(i);
      times.push_back(grid.start + t);
      fit.push_back(quality.fit ? quality.fit->curve.at(t) : 0.0);
    }
    auto& output = context.output();
    output.write<float>(aif_spec(), {grid.samples}, aif);
    output.write<std::int32_t>(aif_voxels_spec(), {static_cast<std::int64_t>(where.size()), 3}, voxels);
    const nlohmann::json measures{{"score", quality.score},
                                  {"width_s", quality.width},
                                  {"roughness", quality.roughness},
                                  {"baseline_noise", quality.baseline_noise},
                                  {"plateau", quality.plateau}};
    nlohmann::json gamma;
    if (quality.fit)
      gamma = {{"peak", quality.fit->curve.peak},
               {"arrival_s", grid.start + quality.fit->curve.arrival},
               {"rise_s", quality.fit->curve.rise},
               {"alpha", quality.fit->curve.shape},
               {"first_pass_end_s", grid.start + grid.dt * static_cast<double>(quality.fit->first_pass_end)},
               {"rms", quality.fit->rms}};
    output.set_metadata({{"method", options_.method},
                         {"voxels", where.size()},
                         {"peak", quality.peak},
                         {"start_s", grid.start},
                         {"dt_s", grid.dt},
                         {"time_to_peak_s", grid.start + quality.time_to_peak},
                         {"vof_scale", scale},
                         {"quality", measures},
                         {"gamma_variate", gamma},
                         {"fit", fit},
                         {"warnings", context.warnings()}});

    const auto folder =
        std::filesystem::path("derivatives") / context.series().subject / context.series().session / "perf";
    const auto stem = context.series().name + (context.task().stage == "aif" ? "" : "_desc-" + context.task().stage);
    context.publish(folder / (stem + "_aif.tsv"), format_tsv({"time_s", "value", "first_pass"}, {times, values, fit}));
    context.publish(folder / (stem + "_aif.json"),
                    nlohmann::ordered_json{{"Description",
                                            "Arterial input function; voxels are x, y, z from 0; "
                                            "first_pass is a gamma-variate fitted to it"},
                                           {"Method", options_.method},
                                           {"Units", context.series().modality == Modality::ct ? "HU" : "1/s"},
                                           {"Voxels", list},
                                           {"VenousScale", scale},
                                           {"Peak", quality.peak},
                                           {"TimeToPeak", grid.start + quality.time_to_peak},
                                           {"Quality", measures},
                                           {"GammaVariate", gamma},
                                           {"Warnings", context.warnings()}}
                            .dump(1) +
                        "\n");
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(aif, Aif)

}  // namespace perfpipe
