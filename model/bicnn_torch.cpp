#include "model/bicnn_torch.hpp"

#include <stdexcept>

namespace perfpipe {
namespace {

constexpr std::int64_t patch_side = 3;
constexpr std::int64_t window_side = 2;

/// Gives a buffer a shape; its memory is kept where it is large enough.
void shape(at::Tensor& buffer, at::IntArrayRef sizes, const at::Tensor& like) {
  if (!buffer.defined())
    buffer = at::empty(sizes, like.options());
  else if (buffer.sizes() != sizes)
    buffer.resize_(sizes);
}

/// L3 [B * 9, 32] as its 2x2 windows [B, window y, window x, y, x, 32], which overlap.
at::Tensor overlapping_windows(const at::Tensor& l3) {
  const std::int64_t row = patch_side * feature_maps;
  const std::int64_t patches = l3.size(0) / patch_positions;
  return l3.as_strided({patches, window_side, window_side, window_side, window_side, feature_maps},
                       {patch_positions * feature_maps, row, feature_maps, row, feature_maps, 1});
}

}  // namespace

NetworkTensors network_tensors(Architecture architecture, const at::Tensor& flat) {
  if (flat.dim() != 1 || flat.size(0) != weight_count(architecture) || !flat.is_contiguous())
    throw std::invalid_argument("network_tensors: needs a flat tensor of " +
                                std::to_string(weight_count(architecture)) + " weights");
  std::int64_t offset = 0;
  const auto next = [&](at::IntArrayRef sizes) {
    std::int64_t count = 1;
    for (const auto n : sizes) count *= n;
    const auto view = flat.narrow(0, offset, count).view(sizes);
    offset += count;
    return view;
  };
  const auto chain = [&] {
    ChainTensors t;
    t.conv1_weight = next({feature_maps, filter_samples});
    t.conv1_bias = next({feature_maps});
    if (architecture == Architecture::convolution) {
      t.conv2_weight = next({feature_maps, feature_samples * feature_maps});
      t.conv2_bias = next({feature_maps});
    }
    t.conv3_weight = next({feature_maps, patch_windows * feature_maps});
    t.conv3_bias = next({feature_maps});
    return t;
  };
  NetworkTensors t;
  t.ctc = chain();
  t.aif = chain();
  t.fc6_weight = next({hidden_units, 2 * chain_features});
  t.fc6_bias = next({hidden_units});
  t.fc7_weight = next({hidden_units, hidden_units});
  t.fc7_bias = next({hidden_units});
  t.fc8_weight = next({1, hidden_units});
  t.fc8_bias = next({1});
  return t;
}

BiCnn::BiCnn(Architecture architecture, const at::Tensor& weights)
    : architecture_(architecture), weights_(network_tensors(architecture, weights)) {}

void BiCnn::forward_time(const ChainTensors& weights, const at::Tensor& curves, TimeLayers& layers) {
  const std::int64_t n = curves.size(0);
  shape(layers.windows, {n * feature_samples, filter_samples}, curves);
  shape(layers.l2, {n * feature_samples, feature_maps}, curves);
  shape(layers.l3, {n, feature_maps}, curves);
  layers.windows.view({n, feature_samples, filter_samples})
      .copy_(curves.as_strided({n, feature_samples, filter_samples}, {curve_samples, 1, 1}));
  if (architecture_ == Architecture::convolution) {
    at::addmm_out(layers.l2, weights.conv1_bias, layers.windows, weights.conv1_weight.t());
    layers.l2.relu_();
    at::addmm_out(layers.l3, weights.conv2_bias, layers.l2.view({n, feature_samples * feature_maps}),
                  weights.conv2_weight.t());
  } else {
    // Bias and ReLU are monotone: they come after the maximum, on 35 times fewer values, with the same result.
    at::mm_out(layers.l2, layers.windows, weights.conv1_weight.t());
    shape(layers.maximum, {n, feature_maps}, curves);
    at::amax_out(layers.maximum, layers.l2.view({n, feature_samples, feature_maps}), {1});
    at::add_out(layers.l3, layers.maximum, weights.conv1_bias);
  }
  layers.l3.relu_();
}

const at::Tensor& BiCnn::forward(const at::Tensor& ctc, const at::Tensor& aif, const at::Tensor& selection) {
  const std::int64_t batch = selection.size(0);
  const std::int64_t patients = selection.size(1);
  if (ctc.sizes() != at::IntArrayRef{batch * patch_positions, curve_samples} ||
      aif.sizes() != at::IntArrayRef{patients, curve_samples} || !ctc.is_contiguous() || !aif.is_contiguous())
    throw std::invalid_argument("BiCnn::forward: inputs do not fit each other");
  const auto& w = weights_;

  forward_time(w.ctc, ctc, ctc_);
  shape(windows_, {batch * patch_windows, patch_windows * feature_maps}, ctc);
  const auto windows = overlapping_windows(ctc_.l3);
  windows_.view(windows.sizes()).copy_(windows);
  shape(ctc_l4_, {batch * patch_windows, feature_maps}, ctc);
  at::addmm_out(ctc_l4_, w.ctc.conv3_bias, windows_, w.ctc.conv3_weight.t());
  ctc_l4_.relu_();

  forward_time(w.aif, aif, aif_);
  aif_conv3_ = w.aif.conv3_weight.view({feature_maps, patch_windows, feature_maps}).sum(1);
  shape(aif_l4_, {patients, feature_maps}, ctc);
  at::addmm_out(aif_l4_, w.aif.conv3_bias, aif_.l3, aif_conv3_.t());
  aif_l4_.relu_();
  const auto aif_half = w.fc6_weight.narrow(1, chain_features, chain_features);
  aif_fc6_ = aif_half.reshape({hidden_units, patch_windows, feature_maps}).sum(1);
  shape(aif_part_, {patients, hidden_units}, ctc);
  at::addmm_out(aif_part_, w.fc6_bias, aif_l4_, aif_fc6_.t());

  shape(l6_, {batch, hidden_units}, ctc);
  at::mm_out(l6_, selection, aif_part_);
  l6_.addmm_(ctc_l4_.view({batch, chain_features}), w.fc6_weight.narrow(1, 0, chain_features).t());
  l6_.relu_();
  shape(l7_, {batch, hidden_units}, ctc);
  at::addmm_out(l7_, w.fc7_bias, l6_, w.fc7_weight.t());
  l7_.relu_();
  shape(estimate_, {batch, 1}, ctc);
  at::addmm_out(estimate_, w.fc8_bias, l7_, w.fc8_weight.t());
  estimate_row_ = estimate_.view({batch});
  return estimate_row_;
}

}  // namespace perfpipe
