// A small head, and networks for it, for the tests of dense inference.
#pragma once

#include "model/dense_inference.hpp"
#include "model/inference.hpp"
#include "model/patches.hpp"
#include "tests/model/synthetic.hpp"

namespace perfpipe {

/// Estimates that depend on the curves, unlike those of the initial weights.
inline WeightFile weights_of(Parameter p, float last_bias = 3.0f) {
  auto tensors = initial_weights(architecture_of(p), 5, "dense_inference_test");
  for (auto& tensor : tensors)  // estimates that depend on the curves: the initial weights alone damp them
    if (tensor.name.ends_with("weight"))
      for (auto& w : tensor.values) w *= 1.5f;
  tensors.back().values[0] = last_bias;
  return make_weight_file({p, 10.0, "test", {}, "0"}, tensors);
}

/// Slices of noisy curves; a mask with holes, single voxels, brain at the border, and an empty slice.
struct Head {
  std::int64_t slices = 4, ny = 21, nx = 30;
  std::vector<float> curves, aif;
  std::vector<std::uint8_t> inside;

  Head() {
    const auto count = static_cast<std::size_t>(slices * ny * nx);
    const auto set = synthetic_set(count / 8 + 1, 1, "head");  // at least 8 curves for each sample
    aif = set.aifs;
    curves.assign(set.curves.begin() + 70, set.curves.end());
    curves.resize(count * 70, 0.1f);
    Random random(3, "mask");
    for (std::int64_t z = 0; z < slices; ++z)
      for (std::int64_t y = 0; y < ny; ++y)
        for (std::int64_t x = 0; x < nx; ++x)
          inside.push_back(z == 0   ? 1
                           : z == 1 ? random.below(3) > 0
                           : z == 2 ? 0
                                    : (y == 10 && x == 7) || (y == 20 && x == 29));
  }
  CurveSlab slab(std::int64_t first = 0, std::int64_t count = 4) const {
    const auto plane = static_cast<std::size_t>(ny * nx), from = static_cast<std::size_t>(first) * plane,
               voxels = static_cast<std::size_t>(count) * plane;
    return {std::span(curves).subspan(from * 70, voxels * 70), std::span(inside).subspan(from, voxels), ny, nx, first};
  }
  /// The map by the reference engine, patch by patch.
  std::vector<float> reference(const WeightFile& weights) const {
    const ReferenceEngine engine(weights);
    std::vector<float> rows(70, 0.0f), map(inside.size(), 0.0f);
    for (std::size_t v = 0; v < inside.size(); ++v)
      for (std::size_t t = 0; t < 70; ++t) rows.push_back(inside[v] ? curves[v * 70 + t] : 0.0f);
    std::vector<std::int32_t> neighbours;
    for (std::int64_t v = 0; v < static_cast<std::int64_t>(map.size()); ++v) {
      const std::int64_t slice = v / (ny * nx) * ny * nx, place = v % (ny * nx);
      for (const std::int64_t at : patch_positions_of(place / nx, place % nx, ny, nx))
        neighbours.push_back(at < 0 ? 0 : static_cast<std::int32_t>(slice + at + 1));
    }
    map = engine.estimate(rows, neighbours, aif);
    for (std::size_t v = 0; v < map.size(); ++v) map[v] = inside[v] ? map[v] : 0.0f;
    return map;
  }
};

/// Networks that have learned: their weights are larger and less even than those they start with.
inline WeightFile trained(Parameter p) {
  const auto set = synthetic_set(1000, 3, "fast");
  Recipe recipe;
  recipe.parameter = p;
  recipe.learning_rate = std::array{5e-5, 5e-4, 5e-3, 5e-3}[index(p)];
  recipe.input_scale = 10.0;
  recipe.epochs = 1;
  recipe.stream = "fast";
  return make_weight_file({p, 10.0, "test", {}, "0"}, train(recipe, set.view(p), set.view(p)).tensors);
}

}  // namespace perfpipe
