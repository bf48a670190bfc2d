#include "model/dense_inference.hpp"

#include "core/error.hpp"
#include "model/inference.hpp"
#include "tests/model/head.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

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
