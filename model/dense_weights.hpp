// The weights of a network as dense inference reads them, with what a patient's AIF adds.
#pragma once

#include "core/aligned.hpp"
#include "model/bicnn.hpp"
#include "model/dense_kernel.hpp"

#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// A network and the patient's AIF: what every dense engine, on whatever processor, starts from.
class DenseParameters {
 public:
  /// `source` names the weights in messages; `aif` [70] in the unit of the curves. Throws InputError if the weights are
  /// not a network of ours or the AIF cannot be scaled, std::invalid_argument for an AIF of another length.
  DenseParameters(const WeightFile& weights, const std::string& source, std::span<const float> aif);

  DenseParameters(DenseParameters&&) noexcept = default;
  DenseParameters(const DenseParameters&) = delete;

  const WeightFacts& facts() const { return facts_; }
  float factor() const { return factor_; }  ///< of the curves (model/scaling.hpp)
  /// Points into this object's memory, which moving keeps; `fast` is null.
  const DenseWeights& weights() const { return weights_; }

 private:
  std::vector<double> aif_features(const WeightFile& file, std::span<const float> aif) const;

  WeightFacts facts_;
  float factor_ = 1.0f;
  AlignedFloats memory_;
  DenseWeights weights_{};
};

}  // namespace perfpipe
