#include "stages/aif_records.hpp"

#include "formats/table.hpp"
#include "stages/maps.hpp"

#include <array>

namespace perfpipe {

DatasetSpec aif_voxels_spec() {
  return {"aif_voxels",
          {"voxel", "axis"},
          "1",
          ElementType::int32,
          "voxels of the arterial input function: x, y, z, from 0"};
}

void write_aif(StageContext& context, const Extent& extent, const AifRecord& aif) {
  std::vector<std::int32_t> voxels;
  nlohmann::json list = nlohmann::json::array();
  for (const auto v : aif.where) {
    const std::array<std::int64_t, 3> p{v % extent[2], v / extent[2] % extent[1], v / (extent[1] * extent[2])};
    for (auto x : p) voxels.push_back(static_cast<std::int32_t>(x));
    list.push_back(p);
  }
  std::vector<double> times, values(aif.curve.begin(), aif.curve.end()), fit;
  for (std::int64_t i = 0; i < aif.grid.samples; ++i) {
    const double t = aif.grid.dt * static_cast<double>(i);
    times.push_back(aif.grid.start + t);
    fit.push_back(aif.quality.fit ? aif.quality.fit->curve.at(t) : 0.0);
  }
  auto& output = context.output();
  output.write<float>(aif_spec(), {aif.grid.samples}, aif.curve);
  output.write<std::int32_t>(aif_voxels_spec(), {static_cast<std::int64_t>(aif.where.size()), 3}, voxels);
  const nlohmann::json measures{{"score", aif.quality.score},
                                {"width_s", aif.quality.width},
                                {"roughness", aif.quality.roughness},
                                {"baseline_noise", aif.quality.baseline_noise},
                                {"plateau", aif.quality.plateau}};
  nlohmann::json gamma;
  if (aif.quality.fit)
    gamma = {{"peak", aif.quality.fit->curve.peak},
             {"arrival_s", aif.grid.start + aif.quality.fit->curve.arrival},
             {"rise_s", aif.quality.fit->curve.rise},
             {"alpha", aif.quality.fit->curve.shape},
             {"first_pass_end_s", aif.grid.start + aif.grid.dt * static_cast<double>(aif.quality.fit->first_pass_end)},
             {"rms", aif.quality.fit->rms}};
  output.set_metadata({{"method", aif.method},
                       {"voxels", aif.where.size()},
                       {"peak", aif.quality.peak},
                       {"start_s", aif.grid.start},
                       {"dt_s", aif.grid.dt},
                       {"time_to_peak_s", aif.grid.start + aif.quality.time_to_peak},
                       {"vof_scale", aif.venous_scale},
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
                                         {"Method", aif.method},
                                         {"Units", context.series().modality == Modality::ct ? "HU" : "1/s"},
                                         {"Voxels", list},
                                         {"VenousScale", aif.venous_scale},
                                         {"Peak", aif.quality.peak},
                                         {"TimeToPeak", aif.grid.start + aif.quality.time_to_peak},
                                         {"Quality", measures},
                                         {"GammaVariate", gamma},
                                         {"Warnings", context.warnings()}}
                          .dump(1) +
                      "\n");
}

}  // namespace perfpipe
