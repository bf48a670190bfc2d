#include "model/training_batches.hpp"

#include "core/error.hpp"
#include "model/scaling.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace perfpipe {
namespace {

constexpr auto samples_of_curve = static_cast<std::size_t>(curve_samples);
constexpr auto positions = static_cast<std::size_t>(patch_positions);
constexpr std::size_t centre = 4;

}  // namespace

Batches::Batches(const PatchSet& set, Parameter parameter, double input_scale)
    : set_(set), parameter_(parameter), factors_(set.aifs.size() / samples_of_curve) {
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

std::size_t Batches::choose(std::span<const std::size_t> mini_batch) {
  mini_batch_ = mini_batch;
  row_of_.assign(factors_.size(), -1);
  for (const auto s : mini_batch) row_of_[patient(s)] = 0;
  std::int32_t rows = 0;
  for (auto& row : row_of_)
    if (row == 0) row = rows++;
  return static_cast<std::size_t>(rows);
}

std::span<const float> Batches::aifs(Augmentation augmentation) {
  augmentation_ = std::move(augmentation);
  aifs_.clear();
  for (std::size_t p = 0; p < row_of_.size(); ++p) {
    if (row_of_[p] < 0) continue;
    aifs_.resize(aifs_.size() + samples_of_curve);
    const auto scaled = std::span(aifs_).last(samples_of_curve);
    scale_curve(aif_of(p), factors_[p], scaled);
    shift_curve(scaled, augmentation_.shift(static_cast<std::size_t>(row_of_[p])));
  }
  return aifs_;
}

std::span<const std::int32_t> Batches::gather(std::size_t first, std::size_t count, std::span<float> curves) {
  constexpr std::size_t patch_values = positions * samples_of_curve;
  patients_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t sample = mini_batch_[first + i], from = patient(sample);
    const auto neighbours = set_.neighbours.subspan(sample * positions, positions);
    std::array<std::int32_t, positions> turned{};
    const auto symmetry = augmentation_.symmetry(first + i);
    for (std::size_t place = 0; place < positions; ++place) turned[place] = neighbours[symmetry[place]];
    const auto patch = curves.subspan(i * patch_values, patch_values);
    scale_patch(set_.curves, turned, factors_[from] * tissue_gain_ * augmentation_.gain(first + i), patch);
    const auto shift = augmentation_.shift(static_cast<std::size_t>(row_of_[from]));
    if (shift != 0)
      for (std::size_t place = 0; place < positions; ++place)
        shift_curve(patch.subspan(place * samples_of_curve, samples_of_curve), shift);
    patients_.push_back(row_of_[from]);
  }
  return patients_;
}

double Batches::target(std::size_t sample) const {
  const auto target = static_cast<double>(set_.targets[mini_batch_[sample]]);
  if (parameter_ != Parameter::cbf && parameter_ != Parameter::cbv) return target;
  // Saturated where the unvaried targets are.
  return std::min(target * static_cast<double>(augmentation_.gain(sample)),
                  std::max(target, facts(parameter_).paper_maximum));
}

}  // namespace perfpipe
