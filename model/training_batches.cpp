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

std::span<const float> Batches::choose(std::span<const std::size_t> mini_batch) {
  row_of_.assign(factors_.size(), -1);
  for (const auto s : mini_batch) row_of_[patient(s)] = 0;
  aifs_.clear();
  std::int32_t rows = 0;
  for (std::size_t p = 0; p < row_of_.size(); ++p) {
    if (row_of_[p] < 0) continue;
    row_of_[p] = rows++;
    aifs_.resize(aifs_.size() + samples_of_curve);
    scale_curve(aif_of(p), factors_[p], std::span(aifs_).last(samples_of_curve));
  }
  return aifs_;
}

std::span<const std::int32_t> Batches::gather(std::span<const std::size_t> samples, std::span<float> curves) {
  constexpr std::size_t patch_values = positions * samples_of_curve;
  patients_.clear();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto row = patient(samples[i]);
    scale_patch(set_.curves, set_.neighbours.subspan(samples[i] * positions, positions), factors_[row] * tissue_gain_,
                curves.subspan(i * patch_values, patch_values));
    patients_.push_back(row_of_[row]);
  }
  return patients_;
}

}  // namespace perfpipe
