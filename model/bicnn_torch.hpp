// The bi-CNN's forward pass as matrix products in LibTorch: what everything else that computes it is tested against.
// Internal to model/: the only header here that includes torch.
#pragma once

#include "model/bicnn.hpp"

#include <ATen/ATen.h>

namespace perfpipe {

/// One chain's weights (or their gradients) as matrices; conv2 is undefined in the max-pool architecture.
struct ChainTensors {
  at::Tensor conv1_weight, conv1_bias;  ///< [32, 36], [32]
  at::Tensor conv2_weight, conv2_bias;  ///< [32, 35 * 32], [32]
  at::Tensor conv3_weight, conv3_bias;  ///< [32, 4 * 32], [32]
};

struct NetworkTensors {
  ChainTensors ctc, aif;
  at::Tensor fc6_weight, fc6_bias, fc7_weight, fc7_bias, fc8_weight, fc8_bias;
};

/// Views of a flat vector [weight_count] in the order of layer_table(): what changes in one changes in the other.
NetworkTensors network_tensors(Architecture architecture, const at::Tensor& flat);

/// A network with the buffers of its passes, which are kept from call to call.
class BiCnn {
 public:
  /// `weights` is flat [weight_count] float32 and not copied: the passes see what an optimiser changes in it.
  BiCnn(Architecture architecture, const at::Tensor& weights);

  /// Estimates [B] before clamping, for scaled inputs: `ctc` [B * 9, 70] the curves of B patches, `aif` [P, 70] the
  /// AIFs of the P patients among them, `selection` [B, P] with a 1 where the sample is of that patient, else 0. As the
  /// AIF patch holds one curve on all nine positions, its chain is evaluated once per patient: the four 2x2 windows are
  /// equal, so conv3 is a product with the sum of its four positions, and fc6 one with the sum of its four windows. The
  /// selection is a product with ones and zeros, and exact. The result is a buffer of this object, valid until the next
  /// call.
  const at::Tensor& forward(const at::Tensor& ctc, const at::Tensor& aif, const at::Tensor& selection);

 private:
  /// L2 and L3 of N curves.
  struct TimeLayers {
    at::Tensor windows;  ///< [N * 35, 36] the curve under the filter at each of its positions
    at::Tensor l2;       ///< [N * 35, 32], read by conv2 as [N, 35 * 32]
    at::Tensor maximum;  ///< [N, 32] over time of L2, in the max-pool architecture
    at::Tensor l3;       ///< [N, 32]
  };
  void forward_time(const ChainTensors& weights, const at::Tensor& curves, TimeLayers& layers);

  Architecture architecture_;
  NetworkTensors weights_;
  TimeLayers ctc_, aif_;
  at::Tensor windows_;       ///< [B * 4, 128] the 2x2 windows of L3 of the tissue chain
  at::Tensor ctc_l4_;        ///< [B * 4, 32], read by fc6 as [B, 128]
  at::Tensor aif_l4_;        ///< [P, 32]
  at::Tensor aif_conv3_;     ///< [32, 32] conv3 summed over its four positions
  at::Tensor aif_fc6_;       ///< [128, 32] the AIF half of fc6 summed over its four windows
  at::Tensor aif_part_;      ///< [P, 128] what each AIF adds to L6, with fc6's bias
  at::Tensor l6_, l7_;       ///< [B, 128]
  at::Tensor estimate_;      ///< [B, 1]
  at::Tensor estimate_row_;  ///< [B]: its view
};

}  // namespace perfpipe
