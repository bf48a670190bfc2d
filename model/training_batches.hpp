// Mini-batches of a training set as the network takes them. Internal to model/: includes torch.
#pragma once

#include "model/training.hpp"

#include <span>
#include <vector>

#include <ATen/ATen.h>

namespace perfpipe {

inline std::span<float> values(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

/// The network's inputs for some samples of a set, in buffers that are kept.
class Batches {
 public:
  /// `set` must outlive this. Throws InputError for the AIF of a patient with samples that cannot be scaled.
  Batches(const PatchSet& set, double input_scale);

  /// The 99th percentile over samples of the largest value of their centre curve, scaled like the AIF.
  double tissue_peak() const;
  /// Tissue curves are multiplied by this beside their patient's factor.
  void set_tissue_gain(double gain) { tissue_gain_ = static_cast<float>(gain); }

  void gather(std::span<const std::size_t> samples);
  const at::Tensor& ctc() const { return ctc_; }              ///< [B * 9, 70]
  const at::Tensor& aif() const { return aif_; }              ///< [P, 70] of the P patients among the samples
  const at::Tensor& selection() const { return selection_; }  ///< [B, P]

 private:
  std::size_t patient(std::size_t sample) const { return static_cast<std::size_t>(set_.patient[sample]); }
  std::span<const float> aif_of(std::size_t row) const;

  const PatchSet& set_;
  std::vector<float> factors_;  ///< of the patients that have samples
  float tissue_gain_ = 1.0f;
  at::Tensor ctc_ = at::empty({0}, at::kFloat);
  at::Tensor aif_ = at::empty({0}, at::kFloat);
  at::Tensor selection_ = at::empty({0}, at::kFloat);
};

}  // namespace perfpipe
