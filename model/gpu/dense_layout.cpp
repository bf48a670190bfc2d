#include "model/gpu/dense_layout.hpp"

#include "model/bicnn.hpp"
#include "model/gpu/dense_tensor.hpp"

#include <algorithm>
#include <span>

namespace perfpipe::gpu {
namespace {

constexpr auto maps = static_cast<std::size_t>(feature_floats), hidden = static_cast<std::size_t>(chain_floats),
               taps = static_cast<std::size_t>(filter_taps), l2_row = static_cast<std::size_t>(l2_positions) * maps;

/// Element (input, output) of panels of [inputs, 32].
struct Panels {
  const float* weights;
  std::size_t inputs;
  float at(std::size_t input, std::size_t output) const {
    return weights[(output / maps * inputs + input) * maps + output % maps];
  }
};

class Packer {
 public:
  Packer(PackedLayers& packed, bool rounded) : packed_(packed), rounded_(rounded) {}

  void copy(LayerPart part, const float* from, std::size_t count) {
    start(part);
    packed_.floats.insert(packed_.floats.end(), from, from + count);
  }
  /// B operands of `steps` steps and outputs / 8 tiles; input(step, slot) is the inner index in a slot.
  template <class Input>
  void fragments(LayerPart part, const Panels& panels, std::size_t steps, std::size_t outputs, const Input& input) {
    start(part);
    for (std::size_t s = 0; s < steps; ++s)
      for (std::size_t n = 0; n < outputs; n += 8)
        for (int lane = 0; lane < warp_lanes; ++lane)
          for (int i = 0; i < 2; ++i)
            add(panels.at(input(s, lane % 4 + 4 * i), n + static_cast<std::size_t>(lane / 4)));
  }
  void add(float weight) { packed_.floats.push_back(rounded_ ? to_tf32(weight) : weight); }

 private:
  void start(LayerPart part) {
    packed_.floats.resize((packed_.floats.size() + 15) / 16 * 16, 0.0f);
    packed_.offsets[part] = packed_.floats.size();
  }
  PackedLayers& packed_;
  bool rounded_;
};

}  // namespace

PackedLayers pack_layers(const DenseWeights& w, Arithmetic arithmetic) {
  PackedLayers packed;
  packed.pooled = w.conv2 == nullptr;
  Packer packer(packed, arithmetic == Arithmetic::tf32);
  if (arithmetic == Arithmetic::exact) {
    packer.copy(conv1_part, w.conv1, taps * maps);
    packer.copy(conv2_part, w.conv2, packed.pooled ? 0 : l2_row * maps);
    packer.copy(conv3_part, w.conv3, hidden * maps);
    packer.copy(fc6_part, w.fc6, hidden * hidden);
    packer.copy(fc7_part, w.fc7, hidden * hidden);
  } else {
    const auto index = [](int i) { return static_cast<std::size_t>(i); };
    const auto chained = [&](std::size_t s, int slot) { return 8 * s + index(chained_input(slot)); };
    const auto of_rows = [&](std::size_t s, int slot) {
      return s / 4 * maps + index(row_input(static_cast<int>(s % 4), slot));
    };
    const Panels conv1{w.conv1, taps};
    packer.fragments(conv1_part, conv1, 4, maps, [&](std::size_t s, int slot) { return 8 * s + index(slot); });
    for (std::size_t n = 0; n < maps; n += 8)  // the last four taps: one number for a lane
      for (int lane = 0; lane < warp_lanes; ++lane) packer.add(conv1.at(32 + index(lane % 4), n + index(lane / 4)));
    if (packed.pooled)
      packer.copy(conv2_part, nullptr, 0);
    else
      packer.fragments(conv2_part, {w.conv2, l2_row}, l2_row / 8, maps, chained);
    packer.fragments(conv3_part, {w.conv3, hidden}, hidden / 8, maps, of_rows);
    packer.fragments(fc6_part, {w.fc6, hidden}, hidden / 8, hidden, of_rows);
    packer.fragments(fc7_part, {w.fc7, hidden}, hidden / 8, hidden, chained);
  }
  packer.copy(conv1_bias_part, w.conv1_bias, maps);
  packer.copy(conv2_bias_part, w.conv2_bias, packed.pooled ? 0 : maps);
  packer.copy(conv3_bias_part, w.conv3_bias, maps);
  packer.copy(fc6_bias_part, w.fc6_bias, hidden);
  packer.copy(fc7_bias_part, w.fc7_bias, hidden);
  packer.copy(fc8_part, w.fc8, hidden);
  packer.copy(fc8_bias_part, &w.fc8_bias, 1);
  return packed;
}

}  // namespace perfpipe::gpu
