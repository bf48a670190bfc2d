// aif: the arterial input function of a series: searched for, marked by the user, or from a table.
#include "core/stage.hpp"
#include "formats/table.hpp"
#include "stages/aif_marks.hpp"
#include "stages/aif_peruzzo.hpp"
#include "stages/aif_records.hpp"
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
    type.version = 6;
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
      if (options_.method == "roi") check_roi(options_.roi, series, findings);
      if (options_.method == "voxels") check_voxels(options_.voxels, series, findings);
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
    AifRecord aif;
    aif.method = options_.method;
    aif.grid = {tissue.metadata().at("start_s"), tissue.metadata().at("dt_s"), slabs.samples()};
    const auto mask = context.store().open("brain_mask").read<std::uint8_t>("brain_mask");
    auto survey = look_for_candidates(context, slabs, mask);
    aif.curve = options_.method == "file" ? from_table(context.series().aif, aif.grid)
                                          : pick(survey.candidates, slabs.samples(), context.job().threads, aif.where);
    if (!(*std::max_element(aif.curve.begin(), aif.curve.end()) > 0.0f))
      throw InputError(
          options_.method == "file"
              ? context.series().aif.string() +
                    ": no positive value within the time grid; expected a concentration that rises as the bolus passes"
              : context.series().image.string() +
                    ": the arterial input function has no positive value; give one by aif.method: file");
    if (options_.vof != "none") {
      aif.venous_scale = venous_scale(context, aif.curve, vein(context, slabs, mask, survey.candidates, aif));
      for (float& a : aif.curve) a = static_cast<float>(aif.venous_scale * a);
    }
    survey.candidates = {};  // of a large volume hundreds of megabytes
    aif.quality = aif_quality(aif.curve, aif.grid.dt);
    for (const auto& doubt : aif_doubts(aif.quality, aif.grid.dt * static_cast<double>(aif.grid.samples - 1),
                                        peak_time(survey.sum, aif.grid)))
      context.warn(doubt);
    write_aif(context, slabs.extent(), aif);
  }

 private:
  /// The curves among which the method chooses (none for a table), and the sum of all.
  Survey look_for_candidates(StageContext& context, const CurveSlabs& slabs,
                             const std::vector<std::uint8_t>& mask) const {
    const auto& series = context.series();
    if (options_.method == "file") return slabs.all(mask, std::vector<std::uint8_t>(mask.size(), 0));
    if (options_.method == "mouridsen" || options_.method == "peruzzo") {
      auto survey = options_.method == "mouridsen" ? slabs.largest(mask, mask, aif_candidate_share)
                                                   : slabs.largest(mask, central_ellipse(mask, slabs.extent()), 1.0);
      if (survey.candidates.where.empty())
        throw InputError(series.image.string() +
                         ": no voxel of the mask has a positive area under its curve, so no artery can be found; check "
                         "the mask and `kind`");
      return survey;
    }
    auto marked = options_.method == "roi" ? roi_flags(options_.roi, series, mask.size())
                                           : voxel_flags(options_.voxels, series, slabs.extent());
    const auto wanted = std::count_if(marked.begin(), marked.end(), [](auto m) { return m != 0; });
    for (std::size_t v = 0; v < marked.size(); ++v) marked[v] = marked[v] != 0 && mask[v] != 0;
    auto survey = slabs.all(mask, marked);
    const auto there = static_cast<std::ptrdiff_t>(survey.candidates.where.size());
    if (there == 0)
      throw InputError(
          fmt::format("{}: none of the {} voxels that aif.{} marks lies in the brain mask with usable "
                      "samples; mark others, or set import.mask: none",
                      series.image.string(), wanted, options_.method));
    if (there < wanted)
      context.warn(fmt::format("{} of the {} voxels that aif.{} marks lie outside the brain mask and are left out",
                               wanted - there, wanted, options_.method));
    return survey;
  }

  /// The mean curve of the candidates that the method chooses; `where` becomes these.
  std::vector<float> pick(const Candidates& candidates, std::int64_t samples, int threads,
                          std::vector<std::int64_t>& where) const {
    std::vector<std::int64_t> rows;
    if (options_.method == "mouridsen") {
      rows = mouridsen_select(candidates.curves, samples, threads);
    } else if (options_.method == "peruzzo") {
      rows = peruzzo_select(candidates.curves, samples);
    } else {
      rows.resize(candidates.where.size());
      std::iota(rows.begin(), rows.end(), 0);
    }
    for (auto row : rows) where.push_back(candidates.where[static_cast<std::size_t>(row)]);
    return mean_of(candidates, rows, samples);
  }

  /// The venous output function; nothing where none is found. `candidates` are the arterial search's.
  std::vector<float> vein(StageContext& context, const CurveSlabs& slabs, const std::vector<std::uint8_t>& mask,
                          const Candidates& candidates, const AifRecord& aif) const {
    if (options_.vof == "file") return from_table(for_series(options_.vof_file, context.series()), aif.grid);
    const auto late = [&](const Candidates& all) -> std::vector<float> {
      const auto peak = std::max_element(aif.curve.begin(), aif.curve.end()) - aif.curve.begin();
      const auto rows = venous_rows(all.curves, slabs.samples(), peak);
      if (rows.empty()) return {};
      return mean_of(all, rows, slabs.samples());
    };
    return late(options_.method == "mouridsen" ? candidates
                                               : slabs.largest(mask, mask, aif_candidate_share).candidates);
  }

  /// CAPLEX Q.AE1.005: ∫VOF / ∫AIF where it is above 1: an artery that fills its voxels in part has too small an area,
  /// a sinus does not.
  static double venous_scale(StageContext& context, const std::vector<float>& aif, const std::vector<float>& vof) {
    if (vof.empty()) {
      context.warn("no venous output function was found behind the arterial one: the AIF is not scaled by it");
      return 1.0;
    }
    const double ratio = static_cast<double>(curve_area(vof)) / curve_area(aif);
    if (ratio > 1.0) return ratio;
    context.warn(
        fmt::format("the venous output function has {:.2f} of the AIF's area, and a vein cannot have less than "
                    "its artery: the AIF is not scaled by it",
                    ratio));
    return 1.0;
  }

  /// Time to the peak of a curve, in s from the grid's first sample; nothing without a peak.
  static std::optional<double> peak_time(const std::vector<double>& curve, const TimeGrid& grid) {
    const auto top = std::max_element(curve.begin(), curve.end());
    if (!(*top > 0.0)) return std::nullopt;
    return grid.dt * static_cast<double>(top - curve.begin());
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(aif, Aif)

}  // namespace perfpipe
