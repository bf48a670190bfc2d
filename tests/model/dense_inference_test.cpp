#include "model/dense_inference.hpp"

#include "core/error.hpp"
#include "model/inference.hpp"
#include "model/patches.hpp"
#include "tests/model/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

WeightFile weights_of(Parameter p, float last_bias = 3.0f) {
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

std::vector<float> dense(const WeightFile& weights, const Head& head, const CurveSlab& slab, int threads = 1,
                         const DenseKernel& kernel = *dense_kernels().front()) {
  std::vector<float> features;
  return DenseNetwork(weights, "test", head.aif, kernel).estimate(slab, threads, features);
}

TEST(DenseNetwork, IsTheReferenceEngineUpToRoundingOnEveryKernel) {
  const Head head;
  for (const Parameter p : all_parameters) {
    const auto expected = head.reference(weights_of(p));
    const float range = *std::max_element(expected.begin(), expected.end());
    ASSERT_GT(std::count_if(expected.begin(), expected.end(), [&](float x) { return x > 0.1f * range; }), 500);
    for (const auto* kernel : dense_kernels()) {
      const auto found = dense(weights_of(p), head, head.slab(), 1, *kernel);
      ASSERT_EQ(found.size(), expected.size());
      // Sums of up to 1120 products of order 1 in single precision, in another order: 1e-6 of the range.
      for (std::size_t v = 0; v < found.size(); ++v)
        ASSERT_NEAR(found[v], expected[v], 1e-5f * range) << name(p) << ", " << kernel->name << ", voxel " << v;
    }
  }
}

TEST(DenseNetwork, KernelsWithFusedMultiplyAddGiveTheSameBits) {
  const Head head;
  std::vector<const DenseKernel*> fused;
  for (const auto* kernel : dense_kernels())
    if (kernel != portable_kernel()) fused.push_back(kernel);
  for (const Parameter p : {Parameter::cbf, Parameter::mtt})
    for (const auto* kernel : fused)
      EXPECT_EQ(dense(weights_of(p), head, head.slab(), 1, *kernel),
                dense(weights_of(p), head, head.slab(), 1, *fused.front()))
          << kernel->name;
}

/// Networks that have learned: their weights are larger and less even than those they start with.
WeightFile trained(Parameter p) {
  const auto set = synthetic_set(1000, 3, "fast");
  Recipe recipe;
  recipe.parameter = p;
  recipe.learning_rate = std::array{5e-5, 5e-4, 5e-3, 5e-3}[index(p)];
  recipe.input_scale = 10.0;
  recipe.epochs = 1;
  recipe.stream = "fast";
  return make_weight_file({p, 10.0, "test", {}, "0"}, train(recipe, set.view(p), set.view(p)).tensors);
}

TEST(FastKernel, IsWithinAThousandthOfTheRangeWithTrainedNetworks) {
  if (fast_dense_kernel() == nullptr) GTEST_SKIP() << "this processor has no AMX";
  const Head head;
  for (const Parameter p : {Parameter::cbf, Parameter::tmax}) {
    const auto weights = trained(p);
    const auto expected = dense(weights, head, head.slab());
    const auto found = dense(weights, head, head.slab(), 1, *fast_dense_kernel());
    const float range = *std::max_element(expected.begin(), expected.end());
    ASSERT_GT(range, 1.0f);
    // Products of two halves of 8 bits each: 1e-5 of the range, a hundred times better than is promised.
    for (std::size_t v = 0; v < found.size(); ++v)
      ASSERT_NEAR(found[v], expected[v], 1e-4f * range) << name(p) << ", voxel " << v;
    EXPECT_NE(found, expected) << "this is the exact kernel";
  }
}

TEST(FastKernel, BitsDoNotDependOnThreadsOrSlabs) {
  if (fast_dense_kernel() == nullptr) GTEST_SKIP() << "this processor has no AMX";
  const Head head;
  for (const Parameter p : {Parameter::cbf, Parameter::tmax}) {
    const auto whole = dense(weights_of(p), head, head.slab(), 1, *fast_dense_kernel());
    EXPECT_EQ(dense(weights_of(p), head, head.slab(), 3, *fast_dense_kernel()), whole);
    std::vector<float> parts;
    for (std::int64_t z = 0; z < head.slices; ++z) {
      const auto part = dense(weights_of(p), head, head.slab(z, 1), 1, *fast_dense_kernel());
      parts.insert(parts.end(), part.begin(), part.end());
    }
    EXPECT_EQ(parts, whole);
  }
}

TEST(DenseNetwork, BitsDoNotDependOnThreadsOrSlabs) {
  const Head head;
  for (const Parameter p : {Parameter::cbf, Parameter::tmax}) {
    const auto whole = dense(weights_of(p), head, head.slab());
    EXPECT_EQ(dense(weights_of(p), head, head.slab(), 3), whole);
    std::vector<float> parts;
    for (std::int64_t z = 0; z < head.slices; ++z) {
      const auto part = dense(weights_of(p), head, head.slab(z, 1));
      parts.insert(parts.end(), part.begin(), part.end());
    }
    EXPECT_EQ(parts, whole);
  }
}

TEST(DenseNetwork, AVoxelDependsOnItsNeighbourhoodAlone) {
  Head head;
  const auto before = dense(weights_of(Parameter::mtt), head, head.slab());
  const std::size_t changed = 10 * 30 + 12;  // (0, 10, 12)
  head.inside[changed] = 0;
  for (std::size_t t = 0; t < 70; ++t) head.curves[changed * 70 + t] = std::numeric_limits<float>::quiet_NaN();
  const auto after = dense(weights_of(Parameter::mtt), head, head.slab());
  EXPECT_EQ(after[changed], 0.0f);
  int differ = 0;
  for (std::size_t v = 0; v < after.size(); ++v) {
    const auto y = static_cast<int>(v / 30), x = static_cast<int>(v % 30);
    const bool near = std::abs(y - 10) <= 1 && std::abs(x - 12) <= 1;
    differ += after[v] != before[v];
    if (!near) {
      EXPECT_EQ(after[v], before[v]) << "voxel " << v;
    }
  }
  EXPECT_EQ(differ, 9) << "the voxel and its neighbours";
}

TEST(DenseNetwork, ClampsAtZero) {
  const Head head;
  EXPECT_EQ(dense(weights_of(Parameter::cbv, -1e6f), head, head.slab()), std::vector<float>(head.inside.size(), 0.0f));
}

TEST(DenseNetwork, RefusesCurvesOutOfRangeAndSaysWhere) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e30f}) {
    Head head;
    head.curves[(21 * 30 * 3 + 10 * 30 + 7) * 70 + 5] = bad;  // (3, 10, 7)
    try {
      dense(weights_of(Parameter::mtt), head, head.slab(1, 3));
      ADD_FAILURE() << bad;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("x 7, y 10, z 3"), std::string::npos) << error.what();
    }
  }
}

TEST(DenseNetwork, RefusesWhatDoesNotFit) {
  const Head head;
  auto slab = head.slab();
  slab.curves = slab.curves.first(70);
  EXPECT_THROW(dense(weights_of(Parameter::mtt), head, slab), std::invalid_argument);
  auto file = weights_of(Parameter::mtt);
  EXPECT_THROW(DenseNetwork(file, "w", std::span(head.aif).first(69)), std::invalid_argument);
  EXPECT_THROW(DenseNetwork(file, "w", std::vector<float>(70, 0.0f)), InputError);
  file.metadata.erase("input_scale");
  EXPECT_THROW(DenseNetwork(file, "w", head.aif), Error);
}

}  // namespace
}  // namespace perfpipe
