#include "formats/series_timing.hpp"

#include "formats/nifti_file.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

/// Header and sidecar may differ by this much before it is said (INPUTS: NIfTI).
constexpr double repetition_time_tolerance = 0.01;
/// Series shorter than this (s) cut the bolus.
constexpr double shortest_series = 30.0;

std::vector<double> even_times(std::int64_t frames, double repetition_time) {
  std::vector<double> times(static_cast<std::size_t>(frames));
  for (std::size_t t = 0; t < times.size(); ++t) times[t] = static_cast<double>(t) * repetition_time;
  return times;
}

/// The sidecar's name, for remedies.
std::string sidecar_name(const Series& series) { return nifti_stem(series.image) + ".json"; }

/// Median distance of frames (the lower one of two).
double median_distance(const std::vector<double>& times) {
  std::vector<double> distances;
  for (std::size_t t = 1; t < times.size(); ++t) distances.push_back(times[t] - times[t - 1]);
  const auto middle = distances.begin() + static_cast<std::ptrdiff_t>((distances.size() - 1) / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  return *middle;
}

void take_volume_timing(Series& series, const Sidecar& sidecar, std::int64_t frames, Findings& findings) {
  const auto& timing = sidecar.volume_timing;
  if (static_cast<std::int64_t>(timing.size()) != frames) {
    findings.add(series.sidecar.string(),
                 fmt::format("VolumeTiming has {} times, but {} has {} frames; give one time per frame", timing.size(),
                             series.image.filename().string(), frames));
    return;
  }
  const double distance = median_distance(timing);
  if (const auto problem = repetition_time_problem("median distance of VolumeTiming", distance)) {
    findings.add(series.sidecar.string(), *problem);
    return;
  }
  series.repetition_time = distance;
  for (const double time : timing) series.times.push_back(time - timing.front());
}

/// Repetition time from the header alone; a finding if it cannot be used.
std::optional<double> header_repetition_time(const Series& series, const NiftiHeader& header, Findings& findings) {
  const std::string remedy = fmt::format(
      "write RepetitionTime (in s) into {}, or cohort.repetition_time into the job file", sidecar_name(series));
  const auto found = header.frame_distance_s();
  if (!found) {
    const int unit = header.xyzt_units & 0x38;
    const bool known = unit == 8 || unit == 16 || unit == 24;
    findings.add(
        series.image.string(),
        known ? fmt::format("repetition time = {} in the header: expected a number above 0; {}",
                            header.stored_frame_distance(), remedy)
              : fmt::format("xyzt_units = {}: the header's repetition time ({}) has no unit of time (expected s, ms "
                            "or µs); {}",
                            header.xyzt_units, header.stored_frame_distance(), remedy));
    return std::nullopt;
  }
  if (const auto problem = repetition_time_problem("repetition time in the header", *found)) {
    findings.add(series.image.string(), *problem + "; " + remedy);
    return std::nullopt;
  }
  return found;
}

}  // namespace

void resolve_times(Series& series, const NiftiHeader& header, const Sidecar& sidecar, std::optional<double> given,
                   Findings& findings) {
  const std::int64_t frames = header.frames();
  if (given) {
    if (!sidecar.volume_timing.empty())
      series.warnings.push_back(
          fmt::format("{}: VolumeTiming is not used, since the job file gives repetition_time = {} s",
                      series.sidecar.string(), *given));
    series.repetition_time = *given;
  } else if (!sidecar.volume_timing.empty()) {
    take_volume_timing(series, sidecar, frames, findings);
  } else if (sidecar.repetition_time) {
    series.repetition_time = *sidecar.repetition_time;
    const auto in_header = header.frame_distance_s();
    if (in_header && std::abs(*in_header - series.repetition_time) > repetition_time_tolerance * series.repetition_time)
      series.warnings.push_back(
          fmt::format("{}: RepetitionTime = {} s, but the header of {} says {} s; the sidecar is used",
                      series.sidecar.string(), series.repetition_time, series.image.filename().string(), *in_header));
  } else if (const auto found = header_repetition_time(series, header, findings)) {
    series.repetition_time = *found;
  }
  if (series.repetition_time == 0.0) return;
  if (series.times.empty()) series.times = even_times(frames, series.repetition_time);
  const double duration = series.times.back() + series.repetition_time;
  if (duration < shortest_series)
    series.warnings.push_back(fmt::format("{}: lasts {:.4g} s ({} frames); the bolus is cut below {} s",
                                          series.image.string(), duration, frames, shortest_series));
}

void resolve_echo_time(Series& series, const Sidecar& sidecar, std::optional<double> given, Findings& findings) {
  if (series.modality == Modality::ct || series.kind == SeriesKind::concentration) return;
  if (given)
    series.echo_time = *given;
  else if (sidecar.echo_time)
    series.echo_time = *sidecar.echo_time;
  else
    findings.add(
        series.image.string(),
        fmt::format("no echo time: an MR signal needs one to become a concentration; write EchoTime (in s, such as "
                    "0.03) into {}, or cohort.echo_time into the job file. Its value cancels where the AIF comes from "
                    "the same image",
                    sidecar_name(series)));
}

}  // namespace perfpipe
