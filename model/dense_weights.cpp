#include "model/dense_weights.hpp"

#include "model/scaling.hpp"

#include <algorithm>
#include <stdexcept>

namespace perfpipe {
namespace {

constexpr auto samples = static_cast<std::size_t>(curve_samples);
constexpr auto maps = static_cast<std::size_t>(feature_maps);
constexpr auto half = static_cast<std::size_t>(chain_features);  // of L5
constexpr auto hidden = static_cast<std::size_t>(hidden_units);

const std::vector<float>& tensor(const WeightFile& file, const std::string& name) {
  return std::find_if(file.tensors.begin(), file.tensors.end(), [&](const auto& t) { return t.name == name; })->values;
}

/// The first `inputs` columns of weights [outputs, stride] as [inputs, 32] for each panel of 32 outputs.
float* packed(float*& free, const std::vector<float>& from, std::size_t inputs, std::size_t stride) {
  float* const start = free;
  const std::size_t outputs = from.size() / stride;
  for (std::size_t panel = 0; panel < outputs; panel += maps)
    for (std::size_t i = 0; i < inputs; ++i)
      for (std::size_t o = 0; o < maps; ++o) *free++ = from[(panel + o) * stride + i];
  return start;
}
float* copied(float*& free, const std::vector<float>& from) {
  float* const start = free;
  free = std::copy(from.begin(), from.end(), free);
  return start;
}

}  // namespace

DenseParameters::DenseParameters(const WeightFile& file, const std::string& source, std::span<const float> aif)
    : facts_(check_weights(file, source)), memory_(static_cast<std::size_t>(weight_count(Architecture::convolution))) {
  if (aif.size() != samples) throw std::invalid_argument("DenseNetwork: an AIF of 70 samples is needed");
  factor_ = input_factor(aif, facts_.input_scale);
  const bool pooled = architecture_of(facts_.parameter) == Architecture::max_pool;
  float* free = memory_.data();
  weights_.conv1 = packed(free, tensor(file, "ctc.conv1.weight"), filter_samples, filter_samples);
  weights_.conv1_bias = copied(free, tensor(file, "ctc.conv1.bias"));
  if (!pooled) {
    weights_.conv2 = packed(free, tensor(file, "ctc.conv2.weight"), feature_samples * maps, feature_samples * maps);
    weights_.conv2_bias = copied(free, tensor(file, "ctc.conv2.bias"));
  }
  weights_.conv3 = packed(free, tensor(file, "ctc.conv3.weight"), half, half);
  weights_.conv3_bias = copied(free, tensor(file, "ctc.conv3.bias"));
  const auto& fc6 = tensor(file, "fc6.weight");
  weights_.fc6 = packed(free, fc6, half, 2 * half);
  weights_.fc7 = packed(free, tensor(file, "fc7.weight"), hidden, hidden);
  weights_.fc7_bias = copied(free, tensor(file, "fc7.bias"));
  weights_.fc8 = copied(free, tensor(file, "fc8.weight"));
  weights_.fc8_bias = tensor(file, "fc8.bias").front();

  // b6' = b6 + W6[:, 128:256] f_AIF (the AIF's four windows are the same).
  const auto l4 = aif_features(file, aif);
  auto bias = tensor(file, "fc6.bias");
  for (std::size_t o = 0; o < hidden; ++o) {
    double sum = bias[o];
    for (std::size_t i = 0; i < half; ++i) sum += static_cast<double>(fc6[o * 2 * half + half + i]) * l4[i % maps];
    bias[o] = static_cast<float>(sum);
  }
  weights_.fc6_bias = copied(free, bias);
}

/// L4 of the AIF chain in double precision: once for each patient, so speed does not matter.
std::vector<double> DenseParameters::aif_features(const WeightFile& file, std::span<const float> aif) const {
  std::vector<float> scaled(samples);
  scale_curve(aif, factor_, scaled);
  const auto layer = [&](const std::string& name, const std::vector<double>& input) {
    const auto& weight = tensor(file, "aif." + name + ".weight");
    const auto& bias = tensor(file, "aif." + name + ".bias");
    const std::size_t inputs = weight.size() / bias.size();
    std::vector<double> output(bias.begin(), bias.end());
    for (std::size_t o = 0; o < output.size(); ++o)
      for (std::size_t i = 0; i < inputs; ++i) output[o] += static_cast<double>(weight[o * inputs + i]) * input[i];
    for (auto& x : output) x = std::max(x, 0.0);
    return output;
  };
  const bool pooled = architecture_of(facts_.parameter) == Architecture::max_pool;
  std::vector<double> l2;  // time, map
  std::vector<double> l3(maps, 0.0);
  for (std::size_t t = 0; t < static_cast<std::size_t>(feature_samples); ++t) {
    const auto at = layer("conv1", {scaled.begin() + static_cast<std::ptrdiff_t>(t), scaled.end()});
    for (std::size_t m = 0; m < maps; ++m) l3[m] = std::max(l3[m], at[m]);
    l2.insert(l2.end(), at.begin(), at.end());
  }
  if (!pooled) l3 = layer("conv2", l2);
  std::vector<double> windows;  // all four positions of a window hold the same
  for (std::size_t position = 0; position < 4; ++position) windows.insert(windows.end(), l3.begin(), l3.end());
  return layer("conv3", windows);
}

}  // namespace perfpipe
