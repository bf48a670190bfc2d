// Where the weights of a network in training stand in one flat vector: the same on every processor.
#pragma once

#include <cstddef>

namespace perfpipe {

/// Offsets of a chain's weights; conv2 is not there with max-pooling.
struct ChainLayout {
  std::size_t conv1 = 0, conv1_bias = 0, conv2 = 0, conv2_bias = 0, conv3 = 0, conv3_bias = 0;
};

/// Layers are panels of 32 outputs, each [inputs, 32]. What every sample adds gradients to comes first; then the AIF
/// chain and its half of fc6. fc8's bias is padded with zeros: what follows is aligned.
struct TrainingLayout {
  ChainLayout tissue, artery;
  std::size_t fc6 = 0, fc6_bias = 0, fc7 = 0, fc7_bias = 0, fc8 = 0, fc8_bias = 0, fc6_artery = 0, size = 0;

  TrainingLayout() = default;
  explicit TrainingLayout(bool pooled) {
    constexpr std::size_t taps = 36, positions = 35, maps = 32, hidden = 128;
    const auto next = [this](std::size_t count) {
      const std::size_t here = size;
      size += count;
      return here;
    };
    const auto chain = [&] {
      ChainLayout c;
      c.conv1 = next(taps * maps);
      c.conv1_bias = next(maps);
      if (!pooled) {
        c.conv2 = next(positions * maps * maps);
        c.conv2_bias = next(maps);
      }
      c.conv3 = next(hidden * maps);
      c.conv3_bias = next(maps);
      return c;
    };
    tissue = chain();
    fc6 = next(hidden * hidden);
    fc6_bias = next(hidden);
    fc7 = next(hidden * hidden);
    fc7_bias = next(hidden);
    fc8 = next(hidden);
    fc8_bias = next(16);
    artery = chain();
    fc6_artery = next(hidden * hidden);
  }
};

}  // namespace perfpipe
