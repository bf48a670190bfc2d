#include "model/training_batches.hpp"

#include "core/error.hpp"
#include "model/scaling.hpp"

#include <algorithm>

namespace perfpipe {
namespace {

constexpr auto samples_of_curve = static_cast<std::size_t>(curve_samples);
constexpr auto positions = static_cast<std::size_t>(patch_positions);
constexpr std::size_t centre = 4;

}  // namespace

Batches::Batches(const PatchSet& set, double input_scale) : set_(set), factors_(set.aifs.size() / samples_of_curve) {
  std::vector<bool> seen(factors_.size());
  for (const auto one : set.patient) {
    const auto row = static_cast<std::size_t>(one);
    if (seen[row]) continue;
    seen[row] = true;
    try {
      factors_[row] = input_factor(aif_of(row), input_scale);
    } catch (const InputError& e) {
      throw InputError("patient in row " + std::to_string(row) + " of the set: " + e.what());
    }
  }
}

std::span<const float> Batches::aif_of(std::size_t row) const {
  return set_.aifs.subspan(row * samples_of_curve, samples_of_curve);
}

double Batches::tissue_peak() const {
  std::vector<float> peaks;
  for (std::size_t s = 0; s < set_.samples(); ++s) {
    const auto row = static_cast<std::size_t>(set_.neighbours[s * positions + centre]);
    const auto curve = set_.curves.subspan(row * samples_of_curve, samples_of_curve);
    peaks.push_back(*std::max_element(curve.begin(), curve.end()) * factors_[patient(s)]);
  }
  if (peaks.empty()) return 0.0;
  const auto rank = peaks.begin() + static_cast<std::ptrdiff_t>((peaks.size() - 1) * 99 / 100);
  std::nth_element(peaks.begin(), rank, peaks.end());
  return *rank;
}

void Batches::gather(std::span<const std::size_t> samples) {
  std::vector<std::size_t> patients;
  for (const auto s : samples) patients.push_back(patient(s));
  std::sort(patients.begin(), patients.end());
  patients.erase(std::unique(patients.begin(), patients.end()), patients.end());
  const auto count = static_cast<std::int64_t>(samples.size());
  const auto patient_count = static_cast<std::int64_t>(patients.size());
  ctc_.resize_({count * patch_positions, curve_samples});
  aif_.resize_({patient_count, curve_samples});
  selection_.resize_({count, patient_count}).zero_();
  for (std::size_t i = 0; i < patients.size(); ++i)
    scale_curve(aif_of(patients[i]), factors_[patients[i]],
                values(aif_).subspan(i * samples_of_curve, samples_of_curve));
  constexpr std::size_t patch_values = positions * samples_of_curve;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto row = patient(samples[i]);
    scale_patch(set_.curves, set_.neighbours.subspan(samples[i] * positions, positions), factors_[row] * tissue_gain_,
                values(ctc_).subspan(i * patch_values, patch_values));
    const auto column = std::lower_bound(patients.begin(), patients.end(), row) - patients.begin();
    values(selection_)[i * patients.size() + static_cast<std::size_t>(column)] = 1.0f;
  }
}

}  // namespace perfpipe
