#include "stages/phantom_simulation.hpp"

#include "core/random.hpp"
#include "stages/phantom_ct.hpp"
#include "stages/phantom_grids.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr double ct_dense_seconds = 45.0;
constexpr double grey_signal = 1000.0;  // scanner units; the brightest voxel stays far below the int16 limit

double reference_signal(const PhantomOptions& o) { return o.modality == "ct" ? ct_grey_matter : grey_signal; }

void draw_acquisition(const PhantomOptions& o, Random random, PhantomPatient& p) {
  p.repetition_time = std::round(1e3 * random.uniform(o.repetition_time_low, o.repetition_time_high)) / 1e3;
  p.echo_time = std::round(1e4 * random.uniform(o.echo_time_low, o.echo_time_high)) / 1e4;
  p.snr = random.uniform(o.snr_low, o.snr_high);
  p.noise_sd = reference_signal(o) / p.snr;
  const auto frames = static_cast<std::size_t>(o.duration / p.repetition_time + 1e-9) + 1;
  for (std::size_t i = 0; i < frames; ++i) {
    const double t = static_cast<double>(i) * p.repetition_time;
    // As in many CT protocols every second frame is spared once the first passage is over.
    if (o.modality != "ct" || t <= ct_dense_seconds || i % 2 == 0) p.times.push_back(t);
  }
}

ArterialInput draw_arterial_input(const PhantomOptions& o, Random random) {
  ArterialInput a;
  a.arrival = random.uniform(o.arrival_low, o.arrival_high);
  a.peak = random.uniform(o.aif_peak_low, o.aif_peak_high);
  a.shape = random.uniform(2.5, 3.5);
  a.scale = random.uniform(o.aif_scale_low, o.aif_scale_high);
  a.recirculation = random.uniform(0.10, 0.20);
  a.recirculation_delay = random.uniform(12.0, 18.0);
  a.recirculation_width = random.uniform(1.6, 2.4);
  a.tail = random.uniform(0.02, 0.05);
  return a;
}

/// Factor by which each frame is brighter than the steady state: the first by 27-32 % (two human series, METHODS
/// section 1), in half of the patients the second by about a third of that.
std::vector<double> approach_to_steady_state(const PhantomOptions& o, Random random, std::size_t frames) {
  std::vector<double> factor(frames, 1.0);
  if (!o.out_of_steady_state || o.modality == "ct") return factor;
  const double excess = random.uniform(0.27, 0.32);
  factor[0] += excess;
  if (random.uniform() < 0.5) factor[1] += excess * random.uniform(0.25, 0.35);
  return factor;
}

void copy_truth(const Head& head, PhantomPatient& p) {
  const std::size_t voxels = head.tissue.size();
  p.brain_mask.resize(voxels);
  p.delay.assign(voxels, 0.0f);
  for (auto& map : p.truth) map.assign(voxels, 0.0f);
  for (std::size_t i = 0; i < voxels; ++i) {
    p.brain_mask[i] = head.tissue[i] != Tissue::air;
    const Kinetics& k = head.kinetics[i];
    if (k.cbf == 0.0 || head.blood[i] > 0.0f) continue;
    p.truth[index(Parameter::cbf)][i] = static_cast<float>(k.cbf);
    p.truth[index(Parameter::cbv)][i] = static_cast<float>(k.cbf * k.mtt / 60.0);
    p.truth[index(Parameter::mtt)][i] = static_cast<float>(k.mtt);
    p.truth[index(Parameter::tmax)][i] = static_cast<float>(time_to_maximum(k));
    p.delay[i] = static_cast<float>(k.delay);
  }
  p.lesion = head.lesion;
  p.label = head.label;
  p.labels = head.labels;
}

}  // namespace

std::string phantom_patient_name(std::int64_t number) { return fmt::format("sub-{:02}", number); }

std::array<std::int64_t, 3> phantom_extent(const PhantomOptions& o) {
  if (o.kind == "kudo") return kudo_extent(o);
  if (o.kind == "study") return study_extent(o);
  return {o.size[0], o.size[1], o.size[2]};
}

void complete_phantom_options(ConfigNode& node) {
  const ConfigNode* const kind = node.find("kind");
  if (kind != nullptr && kind->text == "kudo") node.set_default("tile", "32");
  if (kind != nullptr && kind->text != "anatomy")
    for (const char* file : {"write_mask", "write_aif"}) node.set_default(file, "true");
  const ConfigNode* const modality = node.find("modality");
  if (modality == nullptr || modality->text != "ct") return;
  node.set_default("snr_low", "8");
  node.set_default("snr_high", "25");
  node.set_default("aif_peak_low", "240");
  node.set_default("aif_peak_high", "360");
}

void check_phantom_options(const PhantomOptions& o, const std::string& where, Findings& findings) {
  const auto ordered = [&](const char* name, double low, double high) {
    if (low > high)
      findings.add(
          where, fmt::format("{0}_low = {1} is above {0}_high = {2}; give a range from low to high", name, low, high));
  };
  if (o.size[0] < 16 || o.size[1] < 16)
    findings.add(where, fmt::format("size = [{}, {}, {}]: a head needs at least 16 voxels in x and y", o.size[0],
                                    o.size[1], o.size[2]));
  ordered("repetition_time", o.repetition_time_low, o.repetition_time_high);
  ordered("echo_time", o.echo_time_low, o.echo_time_high);
  ordered("snr", o.snr_low, o.snr_high);
  ordered("arrival", o.arrival_low, o.arrival_high);
  ordered("aif_peak", o.aif_peak_low, o.aif_peak_high);
  ordered("aif_scale", o.aif_scale_low, o.aif_scale_high);
  const double needed = o.arrival_high + o.delay_high + 20.0;
  if (o.duration < needed)
    findings.add(where,
                 fmt::format("duration = {} cuts the bolus: allowed from arrival_high + delay_high + 20 s = {} s; "
                             "raise it, or lower arrival_high or delay_high",
                             o.duration, needed));
  // CT spares every second frame of the later ones: 18 intervals leave ten frames there, too.
  if (o.duration < (o.modality == "ct" ? 18.0 : 9.0) * o.repetition_time_high)
    findings.add(where,
                 fmt::format("duration = {} at repetition_time_high = {} gives fewer than 10 frames; raise duration",
                             o.duration, o.repetition_time_high));
}

PhantomPatient simulate_patient(const PhantomOptions& options, std::uint64_t seed, std::int64_t number) {
  PhantomPatient p;
  p.name = phantom_patient_name(number);
  const auto stream = [&](const char* what) { return Random(seed, "phantom/" + p.name + "/" + what); };
  p.extent = phantom_extent(options);
  const double in_plane = options.field_of_view / static_cast<double>(p.extent[0]);
  p.voxel_mm = {in_plane, in_plane, options.slice_thickness};
  draw_acquisition(options, stream("acquisition"), p);
  p.input = draw_arterial_input(options, stream("aif"));
  for (double t : p.times) p.aif.push_back(p.input.at(t));

  const Head head = options.kind == "kudo"    ? draw_kudo_grid(options)
                    : options.kind == "study" ? draw_study_grid(options)
                                              : draw_head(options, seed, p.name);
  copy_truth(head, p);

  const std::size_t frames = p.times.size();
  const double tissue_factor = options.density / options.hematocrit_factor;
  const std::vector<double> brightness = approach_to_steady_state(options, stream("steady-state"), frames);
  Random veins = stream("veins");
  const double venous_transit = veins.uniform(3.0, 5.0);
  const double venous_delay = veins.uniform(2.0, 4.0);
  BolusConvolution convolution(p.input, p.times.back());
  const bool ct = options.modality == "ct";
  Random noise = stream((options.scan == 1 ? "noise" : "noise/" + std::to_string(options.scan)).c_str());
  std::vector<double> concentration(frames), blood(frames);
  p.signal.resize(head.tissue.size() * frames);
  for (std::size_t i = 0; i < head.tissue.size(); ++i) {
    if (head.kinetics[i].cbf > 0.0)
      convolution.tissue(head.kinetics[i], tissue_factor, p.times, concentration);
    else
      std::fill(concentration.begin(), concentration.end(), 0.0);
    if (const double share = head.blood[i]; share > 0.0) {
      // Mixed as concentrations, so that an artery keeps its shape in every voxel that it touches.
      if (head.tissue[i] == Tissue::artery)
        blood = p.aif;
      else
        convolution.vein(venous_transit, venous_delay, p.times, blood);
      for (std::size_t t = 0; t < frames; ++t) concentration[t] += share * (blood[t] - concentration[t]);
    }
    float* series = &p.signal[i * frames];
    const bool own_noise = !head.snr.empty() && head.snr[i] > 0.0f;
    const double sd = own_noise ? reference_signal(options) / head.snr[i] : p.noise_sd;
    for (std::size_t t = 0; t < frames; ++t) {
      if (ct) {
        series[t] =
            static_cast<float>(std::clamp(head.baseline[i] + concentration[t] + sd * noise.normal(), -1024.0, 3071.0));
        continue;
      }
      const double s = grey_signal * head.baseline[i] * brightness[t] * std::exp(-p.echo_time * concentration[t]);
      const double real = s + sd * noise.normal();
      const double imaginary = sd * noise.normal();
      series[t] = static_cast<float>(std::hypot(real, imaginary));
    }
  }
  return p;
}

}  // namespace perfpipe
