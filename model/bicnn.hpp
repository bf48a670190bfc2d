// The bi-input convolutional network (paper, section IV) as data: its layers, initial weights and weight files.
#pragma once

#include "core/parameters.hpp"
#include "model/weights.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perfpipe {

/// The second layer of each chain: a time convolution, or the max-pooling that the paper puts there for CBF (IV.C).
enum class Architecture { convolution, max_pool };

constexpr Architecture architecture_of(Parameter p) {
  return p == Parameter::cbf ? Architecture::max_pool : Architecture::convolution;
}
constexpr std::string_view name(Architecture a) {
  return a == Architecture::max_pool ? "bi-cnn-max-pool" : "bi-cnn-convolution";
}

// Sizes of the layers (paper, IV.A, IV.B and Fig. 2).
inline constexpr std::int64_t curve_samples = 70;                                    ///< L1, in time
inline constexpr std::int64_t filter_samples = 36;                                   ///< 1x1x36 filters of L1 to L2
inline constexpr std::int64_t feature_samples = curve_samples - filter_samples + 1;  ///< L2, in time: 35
inline constexpr std::int64_t feature_maps = 32;                                     ///< L2, L3, L4
inline constexpr std::int64_t patch_positions = 9;                            ///< 3x3, y-major: y * 3 + x; centre 4
inline constexpr std::int64_t patch_windows = 4;                              ///< 2x2 windows of the patch: y * 2 + x
inline constexpr std::int64_t hidden_units = 128;                             ///< L6, L7
inline constexpr std::int64_t chain_features = patch_windows * feature_maps;  ///< one chain's half of L5: 128

/// One tensor of a network: its name in the weight file, its shape, and the fan-in that bounds its initial values.
struct LayerTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t fan_in;
};

/// The tensors of a network, in the order of the weight file. Index orders ("maps last", so that every layer is one
/// matrix product on the output of the one before, without a transposition):
///   {ctc,aif}.conv1.weight [32, 36]        output map, time
///   {ctc,aif}.conv2.weight [32, 35, 32]    output map, time, input map (not in the max-pool architecture)
///   {ctc,aif}.conv3.weight [32, 2, 2, 32]  output map, y, x, input map
///   fc6.weight [128, 256]                  output, L5 feature = chain * 128 + (y * 2 + x) * 32 + map; chain 0 CTC, 1
///   AIF fc7.weight [128, 128], fc8.weight [1, 128]; each weight is followed by its bias [outputs].
/// All convolutions are correlations (the filter is not reversed), as in Torch7.
std::vector<LayerTensor> layer_table(Architecture architecture);

/// Number of weights and biases: 131,905, or 60,161 with max-pooling.
std::int64_t weight_count(Architecture architecture);

/// Torch7's initial values: weights and biases uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)). Drawn from core/random.hpp
/// with this seed and stream, tensor by tensor in the table's order: the same bits everywhere.
std::vector<NamedTensor> initial_weights(Architecture architecture, std::uint64_t seed, std::string_view stream);

/// The values of tensors, one after the other.
std::vector<float> flatten(const std::vector<NamedTensor>& tensors);
/// The tensors of an architecture from `flat` [weight_count], in the table's order.
std::vector<NamedTensor> unflatten(Architecture architecture, std::span<const float> flat);

/// The least and the greatest value of something that a network met in training.
struct InputRange {
  double low = 0.0;
  double high = 0.0;
  bool operator==(const InputRange&) const = default;
};
/// By the name of what was met (stages/input_ranges.hpp).
using InputRanges = std::map<std::string, InputRange>;

/// What a weight file says about itself besides its weights.
struct WeightFacts {
  Parameter parameter = Parameter::cbf;
  double input_scale = 0.0;  ///< see model/scaling.hpp
  std::string recipe;
  std::vector<std::string> training_cohort;  ///< names of the subjects it was trained on
  std::string version;                       ///< of the program that wrote it
  InputRanges input_ranges = {};             ///< of its training inputs; files from elsewhere may have none
};

/// `format` of our weight files; a change of layout or of the meaning of the weights gets a new number.
inline constexpr std::string_view weight_format = "perfpipe-bicnn-1";

/// A weight file of these facts and tensors. Metadata: format, parameter, architecture, units, input_scaling
/// ("aif_peak"), input_scale, recipe, training_cohort (a JSON list), version; input_ranges (JSON, {name: [low, high]})
/// where there are any.
WeightFile make_weight_file(const WeightFacts& facts, std::vector<NamedTensor> tensors);

/// The facts in a file's metadata, after checking that format, architecture, units and scaling are ours and that names
/// and shapes of the tensors fit the architecture of its parameter. Throws InputError (all findings at once) with
/// `source`, what the file has and what is needed.
WeightFacts check_weights(const WeightFile& file, const std::string& source);

/// The same, and the file must be for this parameter.
WeightFacts check_weights(const WeightFile& file, Parameter parameter, const std::string& source);

}  // namespace perfpipe
