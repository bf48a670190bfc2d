#include "model/training_network.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace perfpipe {
namespace {

constexpr auto samples_of_curve = static_cast<std::size_t>(curve_samples);
constexpr auto taps = static_cast<std::size_t>(filter_samples);
constexpr auto positions = static_cast<std::size_t>(feature_samples);
constexpr auto maps = static_cast<std::size_t>(feature_maps);
constexpr auto patch = static_cast<std::size_t>(patch_positions);
constexpr auto windows = static_cast<std::size_t>(patch_windows);
constexpr auto hidden = static_cast<std::size_t>(hidden_units);
constexpr auto half = static_cast<std::size_t>(chain_features);  // of L5
constexpr std::size_t l2_row = positions * maps, quadrant = maps * maps;
constexpr std::size_t behind_curves = 16;  // readable floats, as the kernel wants

std::size_t filled(std::size_t rows) { return (rows + training_rows - 1) / training_rows * training_rows; }

/// Panels of [inputs, 32] as panels of 32 inputs, each [outputs, 32].
void transpose(const float* from, std::size_t inputs, std::size_t outputs, float* to) {
  for (std::size_t in = 0; in < inputs; in += maps)
    for (std::size_t out = 0; out < outputs; out += maps) {
      const float* const source = from + out * inputs + in * maps;
      float* const target = to + in * outputs + out * maps;
      for (std::size_t o = 0; o < maps; ++o)
        for (std::size_t i = 0; i < maps; ++i) target[o * maps + i] = source[i * maps + o];
    }
}

}  // namespace

std::vector<const TrainingKernel*> training_kernels() {
  std::vector<const TrainingKernel*> kernels;
#ifdef __x86_64__
  if (avx512_training_kernel() && __builtin_cpu_supports("avx512f")) kernels.push_back(avx512_training_kernel());
  if (avx2_training_kernel() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    kernels.push_back(avx2_training_kernel());
#endif
  kernels.push_back(portable_training_kernel());
  return kernels;
}

TrainingNetwork::TimeLayers::TimeLayers(std::size_t rows, Architecture architecture)
    : l2(architecture == Architecture::convolution ? rows * l2_row : 0), l3(rows * maps), d_l3(rows * maps) {
  if (architecture == Architecture::convolution) return;
  winner_memory.resize(rows * maps + 16);
  const auto address = reinterpret_cast<std::uintptr_t>(winner_memory.data());
  winner = winner_memory.data() + (64 - address % 64) % 64 / sizeof(std::int32_t);
}

TrainingNetwork::TrainingNetwork(Architecture architecture, const TrainingKernel& kernel)
    : architecture_(architecture),
      kernel_(kernel),
      layout_(architecture == Architecture::max_pool),
      conv2_transposed_(architecture == Architecture::convolution ? l2_row * maps : 0),
      conv3_transposed_(windows * quadrant),
      fc6_transposed_(half * hidden),
      fc7_transposed_(hidden * hidden),
      curves_(samples_at_once * patch * samples_of_curve + behind_curves),
      tissue_(samples_at_once * patch, architecture),
      l4_(samples_at_once * half),
      l6_(samples_at_once * hidden),
      l7_(samples_at_once * hidden),
      start_(samples_at_once * hidden),
      estimates_(samples_at_once),
      d_l4_(samples_at_once * half),
      d_l6_(samples_at_once * hidden),
      d_l7_(samples_at_once * hidden),
      artery_(0, architecture),
      conv3_sum_(quadrant),
      conv3_sum_transposed_(quadrant),
      fc6_sum_(maps * hidden),
      fc6_sum_transposed_(maps * hidden) {
  static_assert(samples_at_once % 4 == 0 && samples_at_once * patch % training_rows == 0);
}

std::vector<std::size_t> TrainingNetwork::file_positions() const {
  std::vector<std::size_t> at;  // of each weight in the order of the file
  const auto layer = [&](std::size_t offset, std::size_t inputs, std::size_t outputs) {
    for (std::size_t out = 0; out < outputs; ++out)
      for (std::size_t in = 0; in < inputs; ++in)
        at.push_back(offset + out / maps * inputs * maps + in * maps + out % maps);
  };
  const auto vector = [&](std::size_t offset, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) at.push_back(offset + i);
  };
  for (const auto* chain : {&layout_.tissue, &layout_.artery}) {
    layer(chain->conv1, taps, maps);
    vector(chain->conv1_bias, maps);
    if (architecture_ == Architecture::convolution) {
      layer(chain->conv2, l2_row, maps);
      vector(chain->conv2_bias, maps);
    }
    layer(chain->conv3, windows * maps, maps);
    vector(chain->conv3_bias, maps);
  }
  for (std::size_t out = 0; out < hidden; ++out)
    for (const std::size_t offset : {layout_.fc6, layout_.fc6_artery})
      for (std::size_t in = 0; in < half; ++in)
        at.push_back(offset + out / maps * half * maps + in * maps + out % maps);
  vector(layout_.fc6_bias, hidden);
  layer(layout_.fc7, hidden, hidden);
  vector(layout_.fc7_bias, hidden);
  vector(layout_.fc8, hidden);
  vector(layout_.fc8_bias, 1);
  return at;
}

std::vector<float> TrainingNetwork::arrange(std::span<const float> flat) const {
  const auto at = file_positions();
  if (flat.size() != at.size()) throw std::invalid_argument("TrainingNetwork: weights of another architecture");
  std::vector<float> weights(size(), 0.0f);
  for (std::size_t i = 0; i < at.size(); ++i) weights[at[i]] = flat[i];
  return weights;
}

std::vector<float> TrainingNetwork::in_file_order(std::span<const float> weights) const {
  if (weights.size() != size()) throw std::invalid_argument("TrainingNetwork: weights of another architecture");
  std::vector<float> flat;
  for (const std::size_t at : file_positions()) flat.push_back(weights[at]);
  return flat;
}

void TrainingNetwork::forward_time(const ChainLayout& chain, const float* curves, std::size_t rows,
                                   TimeLayers& layers) const {
  const float* const w = weights_;
  const auto n = static_cast<int>(rows);
  if (architecture_ == Architecture::convolution)
    kernel_.features(w + chain.conv1, w + chain.conv1_bias, w + chain.conv2, w + chain.conv2_bias, curves, n,
                     layers.l2.data(), layers.l3.data());
  else
    kernel_.pooled_features(w + chain.conv1, w + chain.conv1_bias, curves, n, layers.l3.data(), layers.winner);
}

void TrainingNetwork::backward_time(const ChainLayout& chain, const float* curves, std::size_t rows, TimeLayers& layers,
                                    bool fresh, float* g) {
  const auto n = static_cast<int>(rows);
  if (architecture_ == Architecture::convolution)
    kernel_.features_backward(conv2_transposed_.data(), curves, n, layers.l2.data(), layers.d_l3.data(), fresh,
                              g + chain.conv1, g + chain.conv1_bias, g + chain.conv2, g + chain.conv2_bias);
  else
    kernel_.pooled_backward(curves, n, layers.winner, layers.d_l3.data(), fresh, g + chain.conv1, g + chain.conv1_bias);
}

void TrainingNetwork::begin(std::span<const float> weights, std::span<const float> aifs, bool with_gradient) {
  if (weights.size() != size() || aifs.size() % samples_of_curve != 0)
    throw std::invalid_argument("TrainingNetwork::begin: weights or AIFs of another size");
  weights_ = weights.data();
  patients_ = aifs.size() / samples_of_curve;
  begin_artery(aifs, with_gradient);
  if (!with_gradient) return;
  if (architecture_ == Architecture::convolution)
    transpose(weights_ + layout_.tissue.conv2, l2_row, maps, conv2_transposed_.data());
  transpose(weights_ + layout_.tissue.conv3, windows * maps, maps, conv3_transposed_.data());
  transpose(weights_ + layout_.fc6, half, hidden, fc6_transposed_.data());
  transpose(weights_ + layout_.fc7, hidden, hidden, fc7_transposed_.data());
}

void TrainingNetwork::begin_artery(std::span<const float> aifs, bool with_gradient) {
  const std::size_t rows = filled(patients_);
  if (artery_.l3.size() < rows * maps) {
    artery_ = TimeLayers(rows, architecture_);
    aif_curves_.resize(rows * samples_of_curve + behind_curves);
    for (auto* buffer : {&aif_l4_, &aif_d_l4_}) buffer->resize(rows * maps);
    for (auto* buffer : {&aif_part_, &d_part_}) buffer->resize(rows * hidden);
  }
  std::copy(aifs.begin(), aifs.end(), aif_curves_.data());
  forward_time(layout_.artery, aif_curves_.data(), patients_, artery_);

  const float* const conv3 = weights_ + layout_.artery.conv3;
  float* const conv3_sum = conv3_sum_.data();
  for (std::size_t i = 0; i < quadrant; ++i)
    conv3_sum[i] = conv3[i] + conv3[quadrant + i] + conv3[2 * quadrant + i] + conv3[3 * quadrant + i];
  float* const fc6_sum = fc6_sum_.data();  // [4 panels, 32 inputs, 32]
  for (std::size_t panel = 0; panel < hidden / maps; ++panel) {
    const float* const fc6 = weights_ + layout_.fc6_artery + panel * half * maps;
    for (std::size_t i = 0; i < quadrant; ++i)
      fc6_sum[panel * quadrant + i] = fc6[i] + fc6[quadrant + i] + fc6[2 * quadrant + i] + fc6[3 * quadrant + i];
  }
  const auto n = static_cast<int>(patients_);
  kernel_.panel(conv3_sum, weights_ + layout_.artery.conv3_bias, artery_.l3.data(), n, true, aif_l4_.data(),
                feature_maps);
  for (std::size_t panel = 0; panel < hidden / maps; ++panel)
    kernel_.panel(fc6_sum + panel * quadrant, weights_ + layout_.fc6_bias + panel * maps, aif_l4_.data(), n, false,
                  aif_part_.data() + panel * maps, hidden_units);
  if (!with_gradient) return;
  transpose(conv3_sum, maps, maps, conv3_sum_transposed_.data());
  transpose(fc6_sum, maps, hidden, fc6_sum_transposed_.data());
}

std::span<const float> TrainingNetwork::estimate(std::span<const std::int32_t> patients) {
  samples_ = patients.size();
  if (samples_ > samples_at_once) throw std::invalid_argument("TrainingNetwork::estimate: too many samples");
  patients_of_samples_.assign(patients.begin(), patients.end());
  const auto n = static_cast<int>(samples_);
  const float* const w = weights_;
  forward_time(layout_.tissue, curves_.data(), samples_ * patch, tissue_);
  kernel_.windows(w + layout_.tissue.conv3, w + layout_.tissue.conv3_bias, tissue_.l3.data(), n, l4_.data());
  for (std::size_t s = 0; s < samples_; ++s)
    std::copy_n(aif_part_.data() + static_cast<std::size_t>(patients[s]) * hidden, hidden, start_.data() + s * hidden);
  kernel_.connected(w + layout_.fc6, start_.data(), hidden_units, l4_.data(), n, l6_.data());
  kernel_.connected(w + layout_.fc7, w + layout_.fc7_bias, 0, l6_.data(), n, l7_.data());
  kernel_.output(w + layout_.fc8, w[layout_.fc8_bias], l7_.data(), n, estimates_.data());
  return {estimates_.data(), samples_};
}

void TrainingNetwork::add_gradient(std::span<const float> d_estimates, bool first, std::span<float> shard) {
  if (d_estimates.size() != samples_ || shard.size() != shard_size(patients_))
    throw std::invalid_argument("TrainingNetwork::add_gradient: gradients of another size");
  const auto n = static_cast<int>(samples_);
  const float* const w = weights_;
  float* const g = shard.data();
  if (first) {
    std::fill_n(g + layout_.fc6_bias, hidden, 0.0f);  // comes from the patients' parts
    std::fill(shard.begin() + static_cast<std::ptrdiff_t>(layout_.fc8_bias), shard.end(), 0.0f);
  }
  kernel_.output_backward(w + layout_.fc8, l7_.data(), n, d_estimates.data(), first, d_l7_.data(), g + layout_.fc8);
  for (const float d : d_estimates) g[layout_.fc8_bias] += d;
  kernel_.connected_backward(fc7_transposed_.data(), l6_.data(), n, d_l7_.data(), first, d_l6_.data(), g + layout_.fc7);
  kernel_.add_rows(d_l7_.data(), n, hidden_units, first, g + layout_.fc7_bias);
  for (std::size_t s = 0; s < samples_; ++s)
    kernel_.add_rows(d_l6_.data() + s * hidden, 1, hidden_units, false,
                     g + shared() + static_cast<std::size_t>(patients_of_samples_[s]) * hidden);
  kernel_.connected_backward(fc6_transposed_.data(), l4_.data(), n, d_l6_.data(), first, d_l4_.data(), g + layout_.fc6);
  kernel_.windows_backward(conv3_transposed_.data(), tissue_.l3.data(), n, d_l4_.data(), first, tissue_.d_l3.data(),
                           g + layout_.tissue.conv3, g + layout_.tissue.conv3_bias);
  backward_time(layout_.tissue, curves_.data(), samples_ * patch, tissue_, first, g);
}

void TrainingNetwork::finish_gradient(std::span<float> gradient) {
  if (gradient.size() != gradient_size(patients_))
    throw std::invalid_argument("TrainingNetwork::finish_gradient: gradients of another size");
  float* const g = gradient.data();
  const auto n = static_cast<int>(patients_);
  std::copy_n(g + shared(), patients_ * hidden, d_part_.data());
  kernel_.add_rows(d_part_.data(), n, hidden_units, true, g + layout_.fc6_bias);

  // All four windows of a patch have the same features, so their weights get the same gradient.
  const auto for_all_windows = [](float* first) {
    for (std::size_t window = 1; window < windows; ++window) std::copy_n(first, quadrant, first + window * quadrant);
  };
  for (std::size_t panel = 0; panel < hidden / maps; ++panel) {
    float* const fc6 = g + layout_.fc6_artery + panel * half * maps;
    kernel_.panel_gradient(aif_l4_.data(), n, d_part_.data() + panel * maps, hidden_units, fc6);
    for_all_windows(fc6);
  }
  kernel_.gated(fc6_sum_transposed_.data(), d_part_.data(), hidden_units, n, aif_l4_.data(), aif_d_l4_.data());
  float* const conv3 = g + layout_.artery.conv3;
  kernel_.panel_gradient(artery_.l3.data(), n, aif_d_l4_.data(), feature_maps, conv3);
  for_all_windows(conv3);
  kernel_.add_rows(aif_d_l4_.data(), n, feature_maps, true, g + layout_.artery.conv3_bias);
  kernel_.gated(conv3_sum_transposed_.data(), aif_d_l4_.data(), feature_maps, n, artery_.l3.data(),
                artery_.d_l3.data());
  if (architecture_ == Architecture::convolution)
    transpose(weights_ + layout_.artery.conv2, l2_row, maps, conv2_transposed_.data());
  backward_time(layout_.artery, aif_curves_.data(), patients_, artery_, true, g);
}

}  // namespace perfpipe
