#include "stages/report_input.hpp"

#include "formats/nifti_image.hpp"
#include "stages/maps.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace perfpipe {
namespace {

/// These slices of a volume, behind each other.
template <class T>
std::vector<T> read_slices(const ArtifactReader& reader, const std::string& dataset,
                           const std::vector<std::int64_t>& slices) {
  std::vector<T> values;
  for (const auto z : slices) {
    const auto slice = reader.read_slab<T>(dataset, z, 1);
    values.insert(values.end(), slice.begin(), slice.end());
  }
  return values;
}

/// The slices to show, and the one with most of the voxels that the AIF is the mean of.
void choose_slices(const std::vector<std::uint8_t>& brain, std::int64_t count, PatientView& view) {
  const std::int64_t plane = view.extent[0] * view.extent[1];
  view.shown = slices_to_show(brain, plane, count);
  view.kept = view.shown;
  std::int64_t most = 0, best = 0;
  for (std::int64_t z = 0; z < view.extent[2] && !view.aif_voxels.empty(); ++z) {
    const auto first = view.aif_voxels.begin() + z * plane;
    const std::int64_t voxels = plane - std::count(first, first + plane, 0);
    if (voxels > most) best = z;
    most = std::max(most, voxels);
  }
  view.kept.push_back(best);
  std::sort(view.kept.begin(), view.kept.end());
  view.kept.erase(std::unique(view.kept.begin(), view.kept.end()), view.kept.end());
}

void read_maps(StageContext& context, const Series& series, Parameter p, PatientView& view) {
  const std::string map(name(p));
  for (const auto& input : context.store().inputs(map)) {
    if (input.task.name != series.name) continue;
    const auto reader = context.store().open(input);
    if (!reader.has(map)) continue;
    const std::string label = reader.metadata().at(label_key);
    auto maker =
        std::find_if(view.makers.begin(), view.makers.end(), [&](const MapSet& known) { return known.label == label; });
    if (maker == view.makers.end()) maker = view.makers.insert(maker, MapSet{label, {}});
    maker->maps[index(p)] = read_slices<float>(reader, map, view.kept);
    const std::string spread = spread_spec(p).name;
    if (reader.has(spread)) maker->spreads[index(p)] = read_slices<float>(reader, spread, view.kept);
    for (const std::string warning : reader.metadata().value("warnings", nlohmann::json::array()))
      if (std::find(view.warnings.begin(), view.warnings.end(), warning) == view.warnings.end())
        view.warnings.push_back(warning);
  }
  if (series.truth[index(p)].empty()) return;
  NiftiReader truth(series.truth[index(p)]);
  std::vector<float> slice;
  for (const auto z : view.kept) {
    truth.read_slab(z, 1, slice);
    view.truth.maps[index(p)].insert(view.truth.maps[index(p)].end(), slice.begin(), slice.end());
  }
}

void read_masks(StageContext& context, const Series& series, Parameter p, PatientView& view) {
  const std::string dataset = std::string(name(p)) + "_mask";
  const auto masks = open_input(context, dataset, series.name);
  if (!masks) return;
  const bool flow = p == Parameter::cbf;
  view.mask_titles[index(p)] =
      fmt::format("{} {} {} {}", facts(p).label, flow ? "<" : ">",
                  shown_number(masks->metadata().at(flow ? "cbf_below" : "tmax_above")), facts(p).units);
  const auto makers = masks->metadata().at("makers").value(std::string(name(p)), nlohmann::json::array());
  const auto plane = static_cast<std::ptrdiff_t>(view.extent[0] * view.extent[1]);
  for (std::size_t m = 0; m < makers.size(); ++m) {
    const auto all = masks->read_slab<std::uint8_t>(dataset, static_cast<std::int64_t>(m), 1);
    MaskSet kept{makers[m].get<std::string>(), {}};
    for (const auto z : view.kept)
      kept.mask.insert(kept.mask.end(), all.begin() + z * plane, all.begin() + (z + 1) * plane);
    view.masks[index(p)].push_back(std::move(kept));
  }
}

std::vector<std::uint8_t> voxel_mask(const std::vector<std::int32_t>& voxels,
                                     const std::array<std::int64_t, 3>& extent) {
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(extent[0] * extent[1] * extent[2]), 0);
  for (std::size_t i = 0; i + 2 < voxels.size(); i += 3)
    mask[static_cast<std::size_t>((voxels[i + 2] * extent[1] + voxels[i + 1]) * extent[0] + voxels[i])] = 1;
  return mask;
}

/// The brain's mean is a twentieth of the AIF: drawn times a round number that brings it to about half of the AIF's
/// peak.
void add_mean_curve(const std::vector<double>& times, const std::vector<double>& mean, PatientView& view) {
  const double top = mean.empty() ? 0.0 : *std::max_element(mean.begin(), mean.end());
  const double aif_top = view.aif.y.empty() ? 0.0 : *std::max_element(view.aif.y.begin(), view.aif.y.end());
  if (!(top > 0.0) || !(aif_top > 0.0) || times.size() != mean.size()) return;
  const double factor = std::max(1.0, round_ticks(0.0, 0.5 * aif_top / top, 1).back());
  view.mean_curve = {fmt::format("brain mean × {:.4g}", factor), times, mean, false};
  for (double& y : view.mean_curve.y) y *= factor;
}

void read_curves(StageContext& context, const Series& series, PatientView& view) {
  view.curve_units = series.modality == Modality::ct ? "HU" : "1/s";
  view.facts.push_back(
      fmt::format("{} frames, TR {} s{}", series.times.size(), shown_number(series.repetition_time, 4),
                  series.echo_time > 0.0 ? fmt::format(", TE {} ms", shown_number(1e3 * series.echo_time)) : ""));
  if (const auto aif = open_input(context, "aif", series.name)) {
    const auto values = aif->read<float>("aif");
    const auto& meta = aif->metadata();
    const double start = meta.at("start_s"), dt = meta.at("dt_s");
    view.aif.name = fmt::format("AIF ({})", meta.at("method").get<std::string>());
    for (std::size_t i = 0; i < values.size(); ++i) {
      view.aif.x.push_back(start + dt * static_cast<double>(i));
      view.aif.y.push_back(values[i]);
    }
    view.facts.push_back(fmt::format("AIF by {}: {} voxels, peak {} {} at {} s", meta.at("method").get<std::string>(),
                                     meta.at("voxels").get<std::int64_t>(), shown_number(meta.at("peak")),
                                     view.curve_units, shown_number(meta.at("time_to_peak_s"))));
    const auto& quality = meta.at("quality");
    view.facts.push_back(fmt::format(
        "AIF score {}: {} s wide, baseline noise {} % of its peak{}", shown_number(quality.at("score")),
        shown_number(quality.at("width_s")), shown_number(100.0 * quality.at("baseline_noise").get<double>()),
        meta.at("vof_scale") == 1.0 ? ""
                                    : ", scaled by " + shown_number(meta.at("vof_scale")) + " to the veins' area"));
    view.aif_fit.name = "first passage (gamma-variate)";
    view.aif_fit.x = view.aif.x;
    view.aif_fit.y = meta.at("fit").get<std::vector<double>>();
    if (aif->has("aif_voxels") && meta.at("voxels").get<std::int64_t>() > 0)
      view.aif_voxels = voxel_mask(aif->read<std::int32_t>("aif_voxels"), series.extent);
  }
  if (const auto imported = open_input(context, "concentration", series.name)) {
    const auto& meta = imported->metadata();
    view.facts.push_back(
        fmt::format("{} leading frames dropped, {} baseline frames, brain mask {} with {} voxels, {} left out for "
                    "unusable samples",
                    meta.at("dropped_frames").get<std::int64_t>(), meta.at("baseline_frames").get<std::int64_t>(),
                    meta.at("mask").get<std::string>(), meta.at("mask_voxels").get<std::int64_t>(),
                    meta.at("excluded_voxels").get<std::int64_t>()));
    add_mean_curve(imported->read<double>("frame_times"), meta.at("mean_concentration").get<std::vector<double>>(),
                   view);
  }
  for (const char* port : {"concentration", "tissue_curves", "aif"})
    if (const auto reader = open_input(context, port, series.name))
      for (const auto& warning : reader->metadata().value("warnings", nlohmann::json::array()))
        view.warnings.push_back(warning);
}

}  // namespace

std::optional<ArtifactReader> open_input(StageContext& context, const std::string& port, const std::string& task) {
  for (const auto& input : context.store().inputs(port))
    if (input.task.name == task) return context.store().open(input);
  return std::nullopt;
}

PatientView read_patient_view(StageContext& context, const Series& series, std::int64_t slices) {
  PatientView view;
  view.name = series.name;
  view.extent = series.extent;
  const Affine affine = NiftiReader(series.image).info().affine;
  view.flips = display_flips({affine[0][0], affine[1][0], affine[2][0]}, {affine[0][1], affine[1][1], affine[2][1]});
  read_curves(context, series, view);
  const auto brain = open_input(context, "brain_mask", series.name);
  choose_slices(brain->read<std::uint8_t>("brain_mask"), slices, view);
  view.brain_mask = read_slices<std::uint8_t>(*brain, "brain_mask", view.kept);
  for (Parameter p : all_parameters) read_maps(context, series, p, view);
  for (Parameter p : {Parameter::cbf, Parameter::tmax}) read_masks(context, series, p, view);
  return view;
}

}  // namespace perfpipe
