// Mini-batches of a training set as the network takes them.
#pragma once

#include "model/augmentation.hpp"
#include "model/training.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// The network's inputs for some samples of a set, in buffers that are kept.
class Batches {
 public:
  /// `set` must outlive this. Throws InputError for the AIF of a patient with samples that cannot be scaled.
  Batches(const PatchSet& set, Parameter parameter, double input_scale);

  /// [patients] of the curves; 0 for those without samples.
  std::span<const float> factors() const { return factors_; }
  /// The 99th percentile over samples of the largest value of their centre curve, scaled like the AIF.
  double tissue_peak() const;
  /// Tissue curves are multiplied by this beside their patient's factor.
  void set_tissue_gain(double gain) { tissue_gain_ = static_cast<float>(gain); }

  /// Takes the patients of a mini-batch, whose samples must stay where they are: their number.
  std::size_t choose(std::span<const std::size_t> mini_batch);
  /// Their scaled AIFs [patients, 70], in the order of the set, varied with the mini-batch.
  std::span<const float> aifs(Augmentation augmentation = {});
  /// Fills `curves` [count, 9, 70] with scaled curves of the mini-batch's samples from `first` on; returns the row of
  /// each one's patient among the AIFs.
  std::span<const std::int32_t> gather(std::size_t first, std::size_t count, std::span<float> curves);
  /// Of a sample of the mini-batch, as it is varied.
  double target(std::size_t sample) const;

 private:
  std::size_t patient(std::size_t sample) const { return static_cast<std::size_t>(set_.patient[sample]); }
  std::span<const float> aif_of(std::size_t row) const;

  const PatchSet& set_;
  Parameter parameter_;
  std::vector<float> factors_;  ///< of the patients that have samples
  float tissue_gain_ = 1.0f;
  std::span<const std::size_t> mini_batch_;
  Augmentation augmentation_;
  std::vector<float> aifs_;
  std::vector<std::int32_t> row_of_;  ///< of each patient of the set among the chosen ones; -1: not chosen
  std::vector<std::int32_t> patients_;
};

}  // namespace perfpipe
