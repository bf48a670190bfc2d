// phantom: writes a simulated cohort in the input layout, with the truth beside each series.
#include "core/stage.hpp"
#include "core/version.hpp"
#include "formats/nifti_image.hpp"
#include "formats/table.hpp"
#include "stages/phantom_simulation.hpp"

#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr char readme[] =
    R"(Simulated perfusion series, written by perfpipe.

sub-XX/perf/sub-XX_dsc.nii.gz            MR signal, with sub-XX_dsc.json (RepetitionTime, EchoTime; what was drawn)
sub-XX/perf/sub-XX_ctp.nii.gz            or CT in HU, with sub-XX_ctp.json (VolumeTiming; what was drawn)
sub-XX/perf/sub-XX_desc-truth_cbf.nii.gz true cerebral blood flow, ml/100g/min
                       _desc-truth_cbv   true cerebral blood volume, ml/100g
                       _desc-truth_mtt   true mean transit time, s
                       _desc-truth_tmax  argmax of the delayed, dispersed residue function on a 0.25 s grid, s
                       _desc-truth_delay true arrival delay relative to the arterial input, s
                       _desc-truth_lesion  0 none, 1 penumbra, 2 core
                       _desc-truth_dseg  region or condition, with its table ..._dseg.tsv: errors are tabled by these

All four truth maps are 0 where there is no capillary bed and so no truth: air, CSF, and the blood of large vessels.
Leave voxels with CBF 0 out when comparing with the truth.
)";

constexpr char bidsignore[] = "**/*_dsc.*\n**/*_ctp.*\n**/*_desc-*\n**/*_aif.tsv\nstore/\nlogs/\nmanifest.json\n";

class Phantom final : public StageWith<PhantomOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "phantom";
    type.scope = Scope::patient;
    type.version = 2;
    type.summary = "Writes a simulated DSC-MR or CT perfusion cohort with its truth, to be the cohort of another job.";
    type.reference =
        "tissue classes after Manhart et al.; kudo after Kudo et al., Radiology 267:201 (2013); docs/phantoms.md";
    return type;
  }
  static OptionTable<PhantomOptions> table() {
    using O = PhantomOptions;
    OptionTable<O> t;
    t.choice("kind", &O::kind, {"anatomy", "kudo", "study"},
             "anatomy: a head with a lesion; kudo: tiles of MTT, delay, CBV and residue function, after Kudo et al., "
             "Radiology 267:201 (2013); study: tiles of SNR, residue function, tissue, delay and dispersion. kudo and "
             "study have a matrix of their own, and write mask and AIF unless told otherwise");
    t.integer("tile", &O::tile, {1, 64}, "voxels", "kudo, study: edge of a tile; kudo: 32 where nothing is given");
    t.choice("modality", &O::modality, {"mr", "ct"},
             "mr: DSC signal; ct: HU, with skull, scalp and table, every second frame spared after 45 s");
    t.integer("patients", &O::patients, {1, 999}, "", "number of patients; each one is the same whatever their number");
    t.integer(
        "scan", &O::scan, {1, 1000000}, "",
        "number of the scan: another one is of the same patients, with other noise, to see what of a map it moves");
    t.integers("size", &O::size, 3, {1, 512}, "voxels", "matrix in x, y, z; x and y at least 16");
    t.number("field_of_view", &O::field_of_view, {50.0, 500.0}, "mm", "extent in x; voxels are square in the plane");
    t.number("slice_thickness", &O::slice_thickness, {0.5, 20.0}, "mm", "extent of a voxel in z");
    t.number("duration", &O::duration, {30.0, 300.0}, "s", "from the first frame to the last, at most");
    t.number("repetition_time_low", &O::repetition_time_low, {0.1, 10.0}, "s", "shortest TR that is drawn");
    t.number("repetition_time_high", &O::repetition_time_high, {0.1, 10.0}, "s", "longest TR that is drawn");
    t.number("echo_time_low", &O::echo_time_low, {0.001, 0.2}, "s", "shortest TE that is drawn");
    t.number("echo_time_high", &O::echo_time_high, {0.001, 0.2}, "s", "longest TE that is drawn");
    t.number("snr_low", &O::snr_low, {1.0, 1e6}, "",
             "lowest SNR: grey matter baseline over noise SD; ct: of its 37 HU, and 8 where nothing is given");
    t.number("snr_high", &O::snr_high, {1.0, 1e6}, "", "highest SNR that is drawn; ct: 25");
    t.number("arrival_low", &O::arrival_low, {0.0, 60.0}, "s", "earliest arrival of the bolus in the arteries");
    t.number("arrival_high", &O::arrival_high, {0.0, 60.0}, "s", "latest arrival that is drawn");
    t.number("aif_peak_low", &O::aif_peak_low, {1.0, 1000.0}, "1/s or HU",
             "lowest peak of arterial blood; mr: ΔR2*, from 150 on its signal sinks into the noise; ct: HU, and 240 "
             "where nothing is given");
    t.number("aif_peak_high", &O::aif_peak_high, {1.0, 1000.0}, "1/s or HU", "highest peak that is drawn; ct: 360");
    t.number("aif_scale_low", &O::aif_scale_low, {0.2, 10.0}, "s",
             "narrowest bolus: β of its gamma-variate, FWHM about 4 β");
    t.number("aif_scale_high", &O::aif_scale_high, {0.2, 10.0}, "s", "widest bolus that is drawn");
    t.number("delay_high", &O::delay_high, {2.0, 30.0}, "s", "longest delay in a lesion; normal tissue has 0 to 2 s");
    t.number("dispersion_high", &O::dispersion_high, {0.0, 2.0}, "s per s",
             "exponential dispersion per second of delay, drawn from 0 to this for each patient");
    t.choice("residue", &O::residue, {"mixed", "exponential", "linear", "box", "gamma"},
             "residue function; mixed: all four, by region");
    t.choice("tissue", &O::tissue, {"classes", "broad"},
             "classes: values of grey and white matter and of a lesion; broad: uniform over CBF 2-120, MTT 2-25 s and "
             "all delays, for training");
    t.flag("out_of_steady_state", &O::out_of_steady_state,
           "the first one or two frames are brighter, as in real series");
    t.number("hematocrit_factor", &O::hematocrit_factor, {0.1, 2.0}, "",
             "kH that a deconvolution needs to find the truth");
    t.number("density", &O::density, {0.5, 2.0}, "g/ml", "density of brain tissue, likewise");
    t.flag("write_mask", &O::write_mask, "write the brain mask beside the series; otherwise the import finds it");
    t.flag("write_aif", &O::write_aif, "write the true AIF beside the series, for aif: {method: file}");
    return t;
  }

  Ports ports() const override { return {}; }
  bool uses_seed() const override { return true; }
  double cost(const TaskInfo&) const override {
    const auto extent = phantom_extent(options_);
    return 1e-5 * static_cast<double>(extent[0] * extent[1] * extent[2]);
  }
  std::optional<Cohort> simulated_cohort() const override {
    Cohort cohort;
    cohort.layout = "bids";
    for (std::int64_t n = 1; n <= options_.patients; ++n) {
      Series series;
      series.name = series.subject = phantom_patient_name(n);
      series.extent = phantom_extent(options_);
      cohort.series.push_back(std::move(series));
    }
    return cohort;
  }

  void run(StageContext& context) const override {
    if (context.task().series == 0) publish_dataset(context);
    PhantomPatient p = simulate_patient(options_, context.job().seed, context.task().series + 1);
    if (context.stop_requested()) throw Stopped();
    // Scanners store whole numbers; the rounding is far below the noise, and the file half as large.
    for (float& s : p.signal) s = std::round(s);

    Affine affine = centred_affine(p.extent, p.voxel_mm);
    for (std::size_t column = 0; column < 4; ++column) {
      affine[0][column] = -affine[0][column];  // stored as DICOM has it: x grows to the patient's left, y to the back
      affine[1][column] = -affine[1][column];
    }
    const auto frames = static_cast<std::int64_t>(p.times.size());
    const auto series_header = make_nifti_header(p.extent, frames, p.repetition_time, affine);
    const auto volume_header = make_nifti_header(p.extent, 1, 0.0, affine);
    const auto stem = (std::filesystem::path(p.name) / "perf" / p.name).string();
    const bool ct = options_.modality == "ct";
    const std::string series = stem + (ct ? "_ctp" : "_dsc");
    context.publish(series + ".nii.gz", [&](const auto& path) {
      write_nifti_series(path, p.signal, series_header, ct ? "simulated CT perfusion" : "simulated DSC-MR");
    });
    context.publish(series + ".json", sidecar(p, context.job().seed).dump(2) + "\n");
    const auto volume = [&](const std::string& suffix, const auto& values) {
      context.publish(stem + suffix + ".nii.gz",
                      [&](const auto& path) { write_nifti_volume(path, values, volume_header, "simulated truth"); });
    };
    for (Parameter q : all_parameters)
      volume(fmt::format("_desc-truth_{}", name(q)), std::span<const float>(p.truth[index(q)]));
    volume("_desc-truth_delay", std::span<const float>(p.delay));
    volume("_desc-truth_lesion", std::span<const std::uint8_t>(p.lesion));
    volume("_desc-truth_dseg", std::span<const float>(p.label));
    context.publish(stem + "_desc-truth_dseg.tsv", format_label_table(p.labels));
    if (options_.write_mask) volume("_desc-brain_mask", std::span<const std::uint8_t>(p.brain_mask));
    if (options_.write_aif) context.publish(stem + "_aif.tsv", format_tsv({"time_s", "value"}, {p.times, p.aif}));
    context.output().set_metadata({{"snr", p.snr},
                                   {"repetition_time", p.repetition_time},
                                   {"echo_time", p.echo_time},
                                   {"frames", frames},
                                   {"warnings", context.warnings()}});
  }

 private:
  static void publish_dataset(StageContext& context) {
    const nlohmann::ordered_json description{{"Name", "Simulated perfusion series"},
                                             {"BIDSVersion", "1.8.0"},
                                             {"DatasetType", "raw"},
                                             {"GeneratedBy", {{{"Name", "perfpipe"}, {"Version", version}}}}};
    context.publish("dataset_description.json", description.dump(2) + "\n");
    context.publish(".bidsignore", bidsignore);
    context.publish("README", readme);
  }

  nlohmann::ordered_json sidecar(const PhantomPatient& p, std::uint64_t seed) const {
    nlohmann::ordered_json json{{"Modality", "MR"}, {"RepetitionTime", p.repetition_time}, {"EchoTime", p.echo_time}};
    if (options_.modality == "ct") json = {{"Modality", "CT"}, {"VolumeTiming", p.times}};
    json["Simulation"] = {{"Generator", fmt::format("perfpipe {}", version)},
                          {"Seed", seed},
                          {"SNR", p.snr},
                          {"BolusArrival", p.input.arrival},
                          {"ArterialPeak", p.input.peak},
                          {"ArterialScale", p.input.scale},
                          {"Options", parameters()}};
    return json;
  }
};

}  // namespace

/// As PERFPIPE_REGISTER_STAGE, with a check of options against each other.
StageType stage_type_phantom() {
  StageType type = make_stage_type<Phantom>();
  type.configure = [](const ConfigNode& node, Findings& findings) -> std::unique_ptr<Stage> {
    auto table = Phantom::table();
    ConfigNode completed = node;
    complete_phantom_options(completed);
    auto options = table.read(completed, findings);
    check_phantom_options(options, node.where, findings);
    return std::make_unique<Phantom>(std::move(options), std::move(table));
  };
  return type;
}

}  // namespace perfpipe
