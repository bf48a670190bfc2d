#include "stages/training_samples.hpp"

#include "model/patches.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace perfpipe {
namespace {

TaskInput input_of(const StageContext& context, const std::string& port, const std::string& series) {
  for (const auto& input : context.store().inputs(port))
    if (input.task.name == series) return input;
  throw Error(ExitCode::config, fmt::format("{}: no input '{}' of {}", context.task().id(), port, series));
}

}  // namespace

std::vector<float> read_aifs(const StageContext& context, const std::vector<std::string>& series) {
  std::vector<float> aifs;
  for (const auto& one : series) {
    const auto aif = context.store().open(input_of(context, "aif", one)).read<float>("aif");
    aifs.insert(aifs.end(), aif.begin(), aif.end());
  }
  return aifs;
}

SampleSet read_samples(const StageContext& context, const std::vector<std::string>& series,
                       const std::vector<std::int32_t>& draws) {
  const Parameter parameter = context.task().parameter;
  SampleSet set;
  for (std::size_t first = 0; first < draws.size();) {
    const std::int32_t patient = draws[first];
    std::size_t end = first;
    while (end < draws.size() && draws[end] == patient) end += 2;
    const auto tissue =
        context.store().open(input_of(context, "tissue_curves", series[static_cast<std::size_t>(patient)]));
    const auto maps = context.store().open(
        input_of(context, std::string(name(parameter)), series[static_cast<std::size_t>(patient)]));
    const auto dims = tissue.dims("tissue_curves");
    const std::int64_t plane = dims[1] * dims[2];
    for (std::size_t i = first; i < end;) {
      const std::int64_t z = draws[i + 1] / plane;
      const auto curves = tissue.read_slab<float>("tissue_curves", z, 1);
      const auto targets = maps.read_slab<float>(std::string(name(parameter)), z, 1);
      std::vector<std::int32_t> row_of(static_cast<std::size_t>(plane), -1);
      for (; i < end && draws[i + 1] / plane == z; i += 2) {
        const std::int64_t place = draws[i + 1] % plane;
        for (std::int64_t neighbour : patch_positions_of(place / dims[2], place % dims[2], dims[1], dims[2])) {
          if (neighbour < 0) {
            set.neighbours.push_back(0);
            continue;
          }
          auto& row = row_of[static_cast<std::size_t>(neighbour)];
          if (row < 0) {
            row = static_cast<std::int32_t>(set.curves.size() / static_cast<std::size_t>(curve_samples));
            const float* const curve = curves.data() + neighbour * curve_samples;
            set.curves.insert(set.curves.end(), curve, curve + curve_samples);
          }
          set.neighbours.push_back(row);
        }
        set.patient.push_back(patient);
        set.targets.push_back(std::clamp(targets[static_cast<std::size_t>(place)], 0.0f,
                                         static_cast<float>(facts(parameter).paper_maximum)));
      }
    }
    first = end;
  }
  return set;
}

InputRanges training_ranges(const StageContext& context, const std::vector<std::string>& series, const PatchSet& set) {
  InputRanges ranges;
  for (const auto& one : series)
    if (const auto met = acquisition_of(context.store().open(input_of(context, "tissue_curves", one)).metadata())) {
      widen(ranges, interval_range, met->interval_s);
      widen(ranges, window_range, met->window_s);
    }
  constexpr auto samples = static_cast<std::size_t>(curve_samples);
  for (std::size_t i = 0; i < set.samples(); ++i) {
    const auto centre = static_cast<std::size_t>(set.neighbours[i * patch_positions + patch_positions / 2]);
    const auto aif = set.aifs.subspan(static_cast<std::size_t>(set.patient[i]) * samples, samples);
    const std::uint8_t one = 1;
    for (const float peak : relative_peaks(set.curves.subspan(centre * samples, samples), {&one, 1}, aif))
      widen(ranges, peak_range, peak);
  }
  return ranges;
}

}  // namespace perfpipe
