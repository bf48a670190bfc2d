#include "model/augmentation.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace perfpipe {

std::array<std::uint8_t, 9> patch_symmetry(unsigned which) {
  std::array<std::uint8_t, 9> from{};
  for (unsigned y = 0; y < 3; ++y)
    for (unsigned x = 0; x < 3; ++x) {
      unsigned source_y = y, source_x = x;
      if ((which & 1) != 0) source_x = 2 - source_x;
      if ((which & 2) != 0) source_y = 2 - source_y;
      if ((which & 4) != 0) std::swap(source_x, source_y);
      from[y * 3 + x] = static_cast<std::uint8_t>(source_y * 3 + source_x);
    }
  return from;
}

Augmentation::Augmentation(const Recipe& recipe, std::int64_t epoch, std::size_t step, std::size_t samples,
                           std::size_t patients) {
  if (!recipe.symmetries && recipe.gain <= 1.0 && recipe.shift == 0) return;
  Random random(recipe.seed, recipe.stream + "/augment/" + std::to_string(epoch) + "/" + std::to_string(step));
  if (recipe.symmetries)
    for (std::size_t i = 0; i < samples; ++i) symmetries_.push_back(static_cast<std::uint8_t>(random.below(8)));
  if (recipe.gain > 1.0)
    for (std::size_t i = 0; i < samples; ++i)
      gains_.push_back(static_cast<float>(std::pow(recipe.gain, random.uniform(-1.0, 1.0))));
  if (recipe.shift > 0)
    for (std::size_t i = 0; i < patients; ++i)
      shifts_.push_back(static_cast<std::int64_t>(random.below(2 * static_cast<std::uint64_t>(recipe.shift) + 1)) -
                        recipe.shift);
}

void shift_curve(std::span<float> curve, std::int64_t shift) {
  const auto n = static_cast<std::int64_t>(curve.size());
  const std::int64_t by = std::clamp(shift, -n, n);
  if (by > 0) {
    std::copy_backward(curve.begin(), curve.end() - by, curve.end());
    std::fill_n(curve.begin(), by, 0.0f);
  } else if (by < 0) {
    const float last = curve.back();
    std::copy(curve.begin() - by, curve.end(), curve.begin());
    std::fill_n(curve.end() + by, -by, last);
  }
}

}  // namespace perfpipe
