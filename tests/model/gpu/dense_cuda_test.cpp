// Dense inference as the GPU computes it, on the host: the kernels' bodies, and what feeds them.
#include "model/dense_cuda.hpp"

#include "core/error.hpp"
#include "tests/model/gpu/host_dense.hpp"
#include "tests/model/head.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using gpu::Arithmetic;

CudaDenseNetworks on_host(const std::vector<WeightFile>& files, const Head& head, Arithmetic arithmetic,
                          std::int64_t voxels_at_once) {
  std::vector<DenseParameters> networks;
  for (const auto& file : files) networks.emplace_back(file, "test", head.aif);
  return {std::move(networks), arithmetic, 0, gpu::host_dense_table(), voxels_at_once};
}

std::vector<float> on_host(const WeightFile& file, const Head& head, const CurveSlab& slab, Arithmetic arithmetic,
                           std::int64_t voxels_at_once = 21 * 30) {
  return on_host(std::vector{file}, head, arithmetic, voxels_at_once).estimate(slab, 2).front();
}

std::vector<float> on_cpu(const WeightFile& file, const Head& head, const CurveSlab& slab) {
  std::vector<float> features;
  return DenseNetwork(file, "test", head.aif).estimate(slab, 1, features);
}

float largest(const std::vector<float>& map) { return *std::max_element(map.begin(), map.end()); }

TEST(CudaDense, ExactIsTheCpusEngineBitForBit) {
  const Head head;
  const bool fused = dense_kernels().front() != portable_kernel();
  for (const Parameter p : {Parameter::cbf, Parameter::mtt}) {
    const auto expected = on_cpu(weights_of(p), head, head.slab());
    const auto found = on_host(weights_of(p), head, head.slab(), Arithmetic::exact);
    ASSERT_GT(largest(expected), 0.0f);
    if (fused) {
      EXPECT_EQ(found, expected) << name(p);
    }
    for (std::size_t v = 0; v < found.size(); ++v) ASSERT_NEAR(found[v], expected[v], 1e-5f * largest(expected));
  }
}

TEST(CudaDense, TensorCoresAreWithinAThousandthOfTheRangeWithTrainedNetworks) {
  const Head head;
  for (const Parameter p : {Parameter::cbf, Parameter::tmax}) {
    const auto weights = trained(p);
    const auto expected = on_cpu(weights, head, head.slab());
    ASSERT_GT(largest(expected), 1.0f);
    const auto once = on_host(weights, head, head.slab(), Arithmetic::tf32);
    const auto twice = on_host(weights, head, head.slab(), Arithmetic::tf32_twice);
    float worst_once = 0.0f, worst_twice = 0.0f;
    for (std::size_t v = 0; v < expected.size(); ++v) {
      worst_once = std::max(worst_once, std::abs(once[v] - expected[v]) / largest(expected));
      worst_twice = std::max(worst_twice, std::abs(twice[v] - expected[v]) / largest(expected));
    }
    RecordProperty(std::string(name(p)) + "_tf32", std::to_string(worst_once));
    RecordProperty(std::string(name(p)) + "_tf32_twice", std::to_string(worst_twice));
    EXPECT_LT(worst_once, 1e-3f) << name(p);
    EXPECT_GT(worst_once, 1e-6f) << name(p) << ": this is not TF32";
    EXPECT_LT(worst_twice, 1e-5f) << name(p);
  }
}

TEST(CudaDense, EveryParameterIsTheReferenceUpToRounding) {
  const Head head;
  for (const Parameter p : all_parameters) {
    const auto expected = head.reference(weights_of(p));
    const auto found = on_host(weights_of(p), head, head.slab(), Arithmetic::tf32_twice);
    for (std::size_t v = 0; v < found.size(); ++v)
      ASSERT_NEAR(found[v], expected[v], 1e-5f * largest(expected)) << name(p) << ", voxel " << v;
  }
}

TEST(CudaDense, BitsDoNotDependOnPiecesThreadsOrSlabs) {
  const Head head;
  for (const Arithmetic arithmetic : {Arithmetic::exact, Arithmetic::tf32})
    for (const Parameter p : {Parameter::cbf, Parameter::tmax}) {
      const auto whole = on_host(weights_of(p), head, head.slab(), arithmetic, 4 * 21 * 30);
      EXPECT_EQ(on_host(weights_of(p), head, head.slab(), arithmetic, 1), whole) << "slice by slice";
      EXPECT_EQ(on_host(weights_of(p), head, head.slab(), arithmetic, 2 * 21 * 30), whole);
      std::vector<float> parts;
      for (std::int64_t z = 0; z < head.slices; ++z) {
        const auto part = on_host(weights_of(p), head, head.slab(z, 1), arithmetic);
        parts.insert(parts.end(), part.begin(), part.end());
      }
      EXPECT_EQ(parts, whole);
    }
}

TEST(CudaDense, SeveralNetworksShareOnePass) {
  const Head head;
  std::vector<WeightFile> files;
  for (const Parameter p : all_parameters) files.push_back(weights_of(p));
  auto together = on_host(files, head, Arithmetic::tf32, 21 * 30);
  const auto maps = together.estimate(head.slab(), 1);
  for (const Parameter p : all_parameters)
    EXPECT_EQ(maps[index(p)], on_host(weights_of(p), head, head.slab(), Arithmetic::tf32)) << name(p);
  // The same object, another slab of another shape: what fits is kept.
  CurveSlab narrow = head.slab(0, 1);
  narrow.ny = 30;
  narrow.nx = 21;
  EXPECT_EQ(together.estimate(narrow, 1)[2], on_host(files[2], head, narrow, Arithmetic::tf32));
}

TEST(CudaDense, AVoxelDependsOnItsNeighbourhoodAlone) {
  Head head;
  const auto before = on_host(weights_of(Parameter::mtt), head, head.slab(), Arithmetic::exact);
  const std::size_t changed = 10 * 30 + 12;  // (0, 10, 12)
  head.inside[changed] = 0;
  for (std::size_t t = 0; t < 70; ++t) head.curves[changed * 70 + t] = std::numeric_limits<float>::quiet_NaN();
  const auto after = on_host(weights_of(Parameter::mtt), head, head.slab(), Arithmetic::exact);
  int differ = 0;
  for (std::size_t v = 0; v < after.size(); ++v) {
    const auto y = static_cast<int>(v / 30), x = static_cast<int>(v % 30);
    differ += after[v] != before[v];
    if (std::abs(y - 10) > 1 || std::abs(x - 12) > 1) {
      EXPECT_EQ(after[v], before[v]) << "voxel " << v;
    }
  }
  EXPECT_EQ(differ, 9) << "the voxel and its neighbours";
}

TEST(CudaDense, RefusesWhatIsOutOfRangeAndSaysWhere) {
  for (const Arithmetic arithmetic : {Arithmetic::exact, Arithmetic::tf32})
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e30f}) {
      Head head;
      head.curves[(21 * 30 * 3 + 10 * 30 + 7) * 70 + 5] = bad;  // (3, 10, 7)
      try {
        on_host(weights_of(Parameter::mtt), head, head.slab(1, 3), arithmetic);
        ADD_FAILURE() << bad;
      } catch (const InputError& error) {
        EXPECT_NE(std::string(error.what()).find("x 7, y 10, z 3"), std::string::npos) << error.what();
      }
    }
  const Head head;
  try {
    on_host(weights_of(Parameter::cbv, std::numeric_limits<float>::infinity()), head, head.slab(), Arithmetic::exact);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("x 0, y 0, z 0"), std::string::npos) << error.what();
  }
}

TEST(CudaDense, ClampsAtZeroAndLeavesNothingBehindAnError) {
  Head head;
  auto networks = on_host(std::vector{weights_of(Parameter::cbv, -1e6f)}, head, Arithmetic::exact, 21 * 30);
  EXPECT_EQ(networks.estimate(head.slab(), 1).front(), std::vector<float>(head.inside.size(), 0.0f));
  const float good = head.curves[5];
  head.curves[5] = 1e30f;
  EXPECT_THROW(networks.estimate(head.slab(), 1), InputError);
  head.curves[5] = good;
  EXPECT_EQ(networks.estimate(head.slab(), 1).front(), std::vector<float>(head.inside.size(), 0.0f));
}

TEST(CudaDense, AnOperationThatFailsIsNamed) {
  const Head head;
  auto table = gpu::host_dense_table();
  table.submit = [](gpu::DenseSession&, int, const gpu::DensePiece&) { return std::string("cudaMemcpyAsync: broken"); };
  std::vector<DenseParameters> networks;
  networks.emplace_back(weights_of(Parameter::mtt), "test", head.aif);
  CudaDenseNetworks engine(std::move(networks), Arithmetic::exact, 3, table, 630);
  try {
    engine.estimate(head.slab(), 1);
    ADD_FAILURE();
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("GPU 3, dense inference: cudaMemcpyAsync: broken"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace perfpipe
