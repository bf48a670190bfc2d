// export: maps and masks as NIfTI in the geometry of the series, with JSON sidecars.
#include "core/parallel.hpp"
#include "core/stage.hpp"
#include "core/version.hpp"
#include "formats/nifti_image.hpp"
#include "stages/maps.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct ExportOptions {
  bool compress = true;
};

class Export final : public StageWith<ExportOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "export";
    type.scope = Scope::patient;
    type.summary = "Writes all maps and masks as NIfTI with sidecars to derivatives/, in the geometry of the series.";
    type.reference = "BIDS 1.8, derivatives";
    return type;
  }
  static OptionTable<ExportOptions> table() {
    OptionTable<ExportOptions> t;
    t.flag("compress", &ExportOptions::compress, "write .nii.gz; false: .nii");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (const auto& spec : map_specs()) ports.reads.push_back({spec, "", true});
    for (Parameter p : {Parameter::cbf, Parameter::tmax}) ports.reads.push_back({tissue_mask_spec(p), "", false, true});
    for (const auto& spec : {concentration_spec(), tissue_curves_spec(), aif_spec()})
      ports.reads.push_back({spec, "", false, true});
    return ports;
  }
  std::vector<std::filesystem::path> files(const TaskInfo& task, const Cohort& cohort) const override {
    return {cohort.series[static_cast<std::size_t>(task.series)].image};
  }
  bool accepts_failed_inputs() const override { return true; }
  double cost(const TaskInfo&) const override { return 0.2; }

  void run(StageContext& context) const override {
    const Series& series = context.series();
    const NiftiHeader geometry = NiftiReader(series.image).info().header;
    const auto folder = std::filesystem::path("derivatives") / series.subject / series.session / "perf";
    const std::string suffix = options_.compress ? ".nii.gz" : ".nii";
    const nlohmann::json warnings = collect_warnings(context);
    nlohmann::json written = nlohmann::json::array();
    // Compressing takes longest: files are written beside each other, each from its own map.
    std::vector<std::pair<std::filesystem::path, std::function<void(const std::filesystem::path&)>>> volumes;

    const auto write_maps = [&](Parameter p, const std::string& dataset, const std::string& kind,
                                const std::string& what) {
      const std::string map(name(p));
      for (const auto& input : context.store().inputs(map)) {
        const auto maker = context.store().open(input);
        if (!maker.has(dataset)) continue;
        const std::string label = maker.metadata().at(label_key).get<std::string>() + kind;
        const auto stem = folder / fmt::format("{}_desc-{}_{}", series.name, label, map);
        volumes.emplace_back(stem.string() + suffix, [=, &geometry, file = maker.path()](const auto& path) {
          write_nifti_volume(path, std::span<const float>(ArtifactReader(file).read<float>(dataset)), geometry,
                             fmt::format("perfpipe {} {}", label, map));
        });
        publish_sidecar(context, stem,
                        {{"Description", fmt::format("{} by {}", what, label)},
                         {"Units", facts(p).units},
                         {"Settings", settings_of(maker, map)},
                         {"Warnings", warnings}});
        written.push_back(stem.filename().string() + suffix);
      }
    };
    for (Parameter p : all_parameters) {
      write_maps(p, std::string(name(p)), "", std::string(facts(p).long_name));
      write_maps(p, spread_spec(p).name, "spread", spread_spec(p).long_name);
    }
    // Maps that a deconvolution leaves beside the four: credible intervals, the truncation that it chose.
    for (const auto& input : context.store().inputs("cbf")) {
      const auto maker = context.store().open(input);
      for (const auto& extra : maker.metadata().value("extra_maps", nlohmann::json::array())) {
        const std::string map = extra.at("name"), label = maker.metadata().at(label_key);
        const auto stem = folder / fmt::format("{}_desc-{}_{}", series.name, label, map);
        volumes.emplace_back(stem.string() + suffix, [=, &geometry, file = maker.path()](const auto& path) {
          write_nifti_volume(path, std::span<const float>(ArtifactReader(file).read<float>(map)), geometry,
                             fmt::format("perfpipe {} {}", label, map));
        });
        publish_sidecar(context, stem,
                        {{"Description", extra.at("long_name").get<std::string>() + " by " + label},
                         {"Units", extra.at("units")},
                         {"Settings", maker.metadata().at("settings")},
                         {"Warnings", warnings}});
        written.push_back(stem.filename().string() + suffix);
      }
    }
    for (Parameter p : {Parameter::cbf, Parameter::tmax}) {
      const std::string dataset = std::string(name(p)) + "_mask";
      for (const auto& input : context.store().inputs(dataset)) {
        const auto masks = context.store().open(input);
        const auto makers = masks.metadata().at("makers").value(std::string(name(p)), nlohmann::json::array());
        for (std::size_t m = 0; m < makers.size(); ++m) {
          const std::string label = makers[m];
          const auto stem = folder / fmt::format("{}_label-{}_desc-{}_mask", series.name, name(p), label);
          volumes.emplace_back(stem.string() + suffix, [=, &geometry, file = masks.path()](const auto& path) {
            const auto values = ArtifactReader(file).read_slab<std::uint8_t>(dataset, static_cast<std::int64_t>(m), 1);
            write_nifti_volume(path, std::span<const std::uint8_t>(values), geometry,
                               fmt::format("perfpipe {} mask {}", label, name(p)));
          });
          const char* const field = p == Parameter::cbf ? "cbf_below" : "tmax_above";
          publish_sidecar(
              context, stem,
              {{"Description", fmt::format("{} {} {}, inside the brain mask; for research use", facts(p).label,
                                           p == Parameter::cbf ? "below" : "above", masks.metadata().at(field).dump())},
               {"Threshold", masks.metadata().at(field)},
               {"Units", facts(p).units},
               {"VolumeMl", masks.metadata().at("volumes_ml").at(std::string(name(p))).at(m)},
               {"Type", "Mask"},
               {"Warnings", warnings}});
          written.push_back(stem.filename().string() + suffix);
        }
      }
    }
    std::error_code error;
    std::filesystem::create_directories(context.job().output / folder, error);
    if (error)
      throw IoError((context.job().output / folder).string() + ": the folder cannot be created: " + error.message());
    parallel_blocks(volumes.size(), 1, context.job().threads,
                    [&](std::size_t i, std::size_t) { volumes[i].second(context.job().output / volumes[i].first); });
    for (const auto& [path, write] : volumes) context.publish(path, [](const std::filesystem::path&) {});
    // The same bytes from every patient's task: whoever writes last changes nothing.
    context.publish("derivatives/dataset_description.json",
                    nlohmann::ordered_json{
                        {"Name", "perfpipe perfusion maps"},
                        {"BIDSVersion", "1.8.0"},
                        {"DatasetType", "derivative"},
                        {"GeneratedBy", {{{"Name", "perfpipe"}, {"Version", version}}}},
                        {"SourceDatasets", {{{"URL", std::filesystem::absolute(context.job().cohort).string()}}}}}
                            .dump(1) +
                        "\n");
    context.output().set_metadata({{"written", written}, {"warnings", context.warnings()}});
  }

 private:
  static void publish_sidecar(StageContext& context, const std::filesystem::path& stem, nlohmann::ordered_json fields) {
    fields["Sources"] = {context.series().image.filename().string()};
    fields["RepetitionTime"] = context.series().repetition_time;
    fields["GeneratedBy"] = {{"Name", "perfpipe"}, {"Version", version}};
    context.publish(stem.string() + ".json", fields.dump(1) + "\n");
  }

  /// Of a network map its own network alone, of other maps everything that its maker was told.
  static nlohmann::json settings_of(const ArtifactReader& maker, const std::string& map) {
    const nlohmann::json settings = maker.metadata().at("settings");
    return settings.contains("networks") ? settings.at("networks").at(map) : settings;
  }

  /// What was warned about on this patient's way, by every stage that has metadata to say so.
  static nlohmann::json collect_warnings(StageContext& context) {
    std::vector<std::string> warnings;
    for (const char* port : {"concentration", "tissue_curves", "aif", "cbf", "cbv", "mtt", "tmax"})
      for (const auto& input : context.store().inputs(port)) {
        const auto metadata = context.store().open(input).metadata();
        for (const auto& warning : metadata.value("warnings", nlohmann::json::array()))
          if (std::find(warnings.begin(), warnings.end(), warning.get<std::string>()) == warnings.end())
            warnings.push_back(warning);
      }
    return warnings;
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(export, Export)

}  // namespace perfpipe
