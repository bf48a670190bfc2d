#include "model/inference.hpp"

#include "core/error.hpp"
#include "model/bicnn_torch.hpp"
#include "model/scaling.hpp"
#include "model/torch_threads.hpp"
#include "tests/model/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr double scale = 20.0;

WeightFile weights_of(Parameter p) {
  auto tensors = initial_weights(architecture_of(p), 5, "inference_test");
  // The last bias is set so that the estimates lie on both sides of zero, where they are clamped.
  tensors.back().values[0] = p == Parameter::cbf ? 0.1f : 0.0f;
  return make_weight_file({p, scale, "test", {}, "0"}, tensors);
}

/// One patient's voxels.
struct Voxels {
  SyntheticSet set = synthetic_set(333, 1, "voxels");
  std::vector<float> estimate(const ReferenceEngine& engine, std::size_t first, std::size_t count) const {
    return engine.estimate(set.curves, std::span(set.neighbours).subspan(first * 9, count * 9), set.aifs);
  }
};

TEST(ReferenceEngine, IsTheForwardPassClampedAtZero) {
  const Voxels voxels;
  for (const Parameter p : {Parameter::cbf, Parameter::mtt}) {
    const auto file = weights_of(p);
    const ReferenceEngine engine(file);
    EXPECT_EQ(engine.facts().parameter, p);
    const auto found = voxels.estimate(engine, 0, 333);

    BiCnn network(architecture_of(p), at::tensor(flatten(file.tensors)));
    const auto ctc = at::empty({333 * 9, 70}, at::kFloat);
    const auto aif = at::empty({1, 70}, at::kFloat);
    const float factor = input_factor(voxels.set.aifs, scale);
    scale_patch(voxels.set.curves, voxels.set.neighbours, factor, {ctc.data_ptr<float>(), 333 * 9 * 70});
    scale_curve(voxels.set.aifs, factor, {aif.data_ptr<float>(), 70});
    const auto expected = network.forward(ctc, aif, at::ones({333, 1}));
    int clamped = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const float raw = expected[static_cast<std::int64_t>(i)].item<float>();
      clamped += raw < 0.0f;
      // Other batch shapes may round differently: a few units in the last place of sums of order 1.
      EXPECT_NEAR(found[i], std::max(raw, 0.0f), 1e-5f) << "voxel " << i;
    }
    EXPECT_LT(clamped, 333);
  }
}

TEST(ReferenceEngine, ClampsNegativeEstimates) {
  const Voxels voxels;
  auto file = weights_of(Parameter::mtt);
  file.tensors.back().values[0] = -1e6f;
  EXPECT_EQ(voxels.estimate(ReferenceEngine(file), 0, 333), std::vector<float>(333, 0.0f));
}

TEST(ReferenceEngine, GivesTheSameBitsWhenDividedAtItsBlocks) {
  const Voxels voxels;
  const auto in_steps = [&](const ReferenceEngine& engine, std::size_t step) {
    std::vector<float> parts;
    for (std::size_t first = 0; first < 333; first += step) {
      const auto part = voxels.estimate(engine, first, std::min<std::size_t>(step, 333 - first));
      parts.insert(parts.end(), part.begin(), part.end());
    }
    return parts;
  };
  for (const Parameter p : {Parameter::cbf, Parameter::mtt}) {
    const ReferenceEngine engine(weights_of(p));
    const auto all = voxels.estimate(engine, 0, 333);
    EXPECT_EQ(in_steps(engine, inference_block), all);
    EXPECT_EQ(in_steps(engine, 3 * inference_block), all);
    // Elsewhere a voxel stands at another place of its pass: rounding of sums of order 1 may differ.
    const auto shifted = in_steps(engine, 37);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_NEAR(shifted[i], all[i], 1e-5f) << "voxel " << i;
  }
  EXPECT_TRUE(voxels.estimate(ReferenceEngine(weights_of(Parameter::tmax)), 0, 0).empty());
}

TEST(ReferenceEngine, GivesAVoxelTheSameBitsWhateverTheOthersHold) {
  Voxels voxels;
  const ReferenceEngine engine(weights_of(Parameter::mtt));
  const auto before = voxels.estimate(engine, 0, inference_block);
  std::fill_n(voxels.set.neighbours.begin(), 9 * 20, 0);  // voxels 0 to 19
  const auto after = voxels.estimate(engine, 0, inference_block);
  const auto part = [](const std::vector<float>& v, std::size_t first, std::size_t end) {
    return std::vector(v.begin() + static_cast<std::ptrdiff_t>(first), v.begin() + static_cast<std::ptrdiff_t>(end));
  };
  EXPECT_NE(part(after, 0, 20), part(before, 0, 20));
  EXPECT_EQ(part(after, 20, inference_block), part(before, 20, inference_block));
}

TEST(ReferenceEngine, GivesTheSameBitsWhateverTheThreads) {
  const Voxels voxels;
  const ReferenceEngine engine(weights_of(Parameter::cbv));
  const auto alone = voxels.estimate(engine, 0, 333);
  use_threads(2);
  EXPECT_EQ(voxels.estimate(engine, 0, 333), alone);
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (auto& f : found) threads.emplace_back([&] { f = voxels.estimate(engine, 0, 333); });
  for (auto& t : threads) t.join();
  for (const auto& f : found) EXPECT_EQ(f, alone);
}

TEST(ReferenceEngine, DoesNotDependOnTheUnitOfConcentration) {
  Voxels voxels;
  const ReferenceEngine engine(weights_of(Parameter::mtt));
  const auto before = voxels.estimate(engine, 0, 333);
  for (auto& x : voxels.set.curves) x *= 64.0f;  // a power of two: the scaled inputs are the same bits
  for (auto& x : voxels.set.aifs) x *= 64.0f;
  EXPECT_EQ(voxels.estimate(engine, 0, 333), before);
}

TEST(ReferenceEngine, RefusesInputsThatDoNotFit) {
  const Voxels voxels;
  const ReferenceEngine engine(weights_of(Parameter::mtt));
  const auto& s = voxels.set;
  const std::span<const std::int32_t> nine(s.neighbours.data(), 9);
  EXPECT_THROW(engine.estimate(s.curves, std::span(s.neighbours).first(8), s.aifs), std::invalid_argument);
  EXPECT_THROW(engine.estimate(std::span(s.curves).first(71), nine, s.aifs), std::invalid_argument);
  EXPECT_THROW(engine.estimate(std::span(s.curves).first(70), nine, s.aifs), std::invalid_argument);
  EXPECT_THROW(engine.estimate(s.curves, nine, std::span(s.aifs).first(69)), std::invalid_argument);
  EXPECT_THROW(engine.estimate(s.curves, nine, std::vector<float>(70, 0.0f)), InputError);
  auto curves = s.curves;
  std::fill(curves.begin() + 70, curves.end(), std::numeric_limits<float>::infinity());
  EXPECT_THROW(engine.estimate(curves, nine, s.aifs), InputError);
}

TEST(ReferenceEngine, RefusesWeightsThatAreNotOurs) {
  auto file = weights_of(Parameter::mtt);
  file.metadata.erase("input_scale");
  EXPECT_THROW(ReferenceEngine(file, "w.safetensors"), Error);
}

}  // namespace
}  // namespace perfpipe
