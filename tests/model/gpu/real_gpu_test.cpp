// The kernels of model/ on a real GPU, beside the CPU's engines and beside the same kernels on the host.
#include "cluster/cuda_devices.hpp"
#include "core/cuda_library.hpp"
#include "core/error.hpp"
#include "model/dense_cuda.hpp"
#include "tests/model/gpu/host_dense.hpp"
#include "tests/model/gpu/host_training.hpp"
#include "tests/model/gpu/trainings.hpp"
#include "tests/model/head.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using gpu::Arithmetic;

/// Skips, with the reason, where there is no GPU.
class ModelOnGpu : public testing::Test {
 protected:
  void SetUp() override {
    std::string problem;
    if (visible_cuda_devices(problem).empty()) GTEST_SKIP() << "no GPU: " << problem;
  }
};

std::vector<DenseParameters> networks_of(const std::vector<WeightFile>& files, const std::vector<float>& aif) {
  std::vector<DenseParameters> networks;
  for (const auto& file : files) networks.emplace_back(file, "test", aif);
  return networks;
}

std::vector<WeightFile> all_networks() {
  std::vector<WeightFile> files;
  for (const Parameter p : all_parameters) files.push_back(weights_of(p));
  return files;
}

TEST_F(ModelOnGpu, ExactMapsHaveTheCpusBits) {
  if (dense_kernels().front() == portable_kernel()) GTEST_SKIP() << "this processor has no fused multiply-add";
  const Head head;
  CudaDenseNetworks on_gpu(networks_of(all_networks(), head.aif), Arithmetic::exact, 0);
  const auto maps = on_gpu.estimate(head.slab(), 2);
  std::vector<float> features;
  for (const Parameter p : all_parameters)
    EXPECT_EQ(maps[index(p)], DenseNetwork(weights_of(p), "test", head.aif).estimate(head.slab(), 1, features))
        << name(p);
}

TEST_F(ModelOnGpu, TensorCoresAreWithinTheirPromise) {
  const Head head;
  const std::vector<WeightFile> files{trained(Parameter::cbf), trained(Parameter::tmax)};
  std::vector<float> features;
  for (const auto& [arithmetic, part] : {std::pair{Arithmetic::tf32, 1e-3f}, {Arithmetic::tf32_twice, 1e-5f}}) {
    CudaDenseNetworks on_gpu(networks_of(files, head.aif), arithmetic, 0);
    const auto maps = on_gpu.estimate(head.slab(), 1);
    EXPECT_EQ(on_gpu.estimate(head.slab(), 2), maps) << "from run to run";
    for (std::size_t n = 0; n < files.size(); ++n) {
      const auto expected = DenseNetwork(files[n], "test", head.aif).estimate(head.slab(), 1, features);
      const float range = *std::max_element(expected.begin(), expected.end());
      for (std::size_t v = 0; v < expected.size(); ++v)
        ASSERT_NEAR(maps[n][v], expected[v], part * range) << "network " << n << ", voxel " << v;
    }
  }
}

/// As many pieces as slots and more: copies, kernels and threads run beside each other.
TEST_F(ModelOnGpu, LargeVolumesInPiecesHaveTheSameBits) {
  constexpr std::int64_t ny = 100, nx = 140, slices = 8;
  const auto voxels = static_cast<std::size_t>(ny * nx * slices);
  const auto set = synthetic_set(1200, 1, "large");
  std::vector<float> curves;
  while (curves.size() < voxels * 70) curves.insert(curves.end(), set.curves.begin() + 70, set.curves.end());
  curves.resize(voxels * 70);
  std::vector<std::uint8_t> inside;
  for (std::size_t v = 0; v < voxels; ++v) inside.push_back(v % 11 != 0);
  const CurveSlab slab{curves, inside, ny, nx};
  const auto table = cuda_table<gpu::DenseCudaTable>();
  for (const Arithmetic arithmetic : {Arithmetic::exact, Arithmetic::tf32}) {
    CudaDenseNetworks whole(networks_of(all_networks(), set.aifs), arithmetic, 0);
    CudaDenseNetworks pieces(networks_of(all_networks(), set.aifs), arithmetic, 0, table, ny * nx);
    const auto maps = whole.estimate(slab, 4);
    EXPECT_EQ(pieces.estimate(slab, 4), maps);
    if (arithmetic != Arithmetic::exact || dense_kernels().front() == portable_kernel()) continue;
    std::vector<float> features;
    EXPECT_EQ(maps[2], DenseNetwork(weights_of(Parameter::mtt), "test", set.aifs).estimate(slab, 2, features));
  }
}

TEST_F(ModelOnGpu, BadCurvesAreFoundAndTheNextVolumeIsSound) {
  Head head;
  CudaDenseNetworks on_gpu(networks_of(all_networks(), head.aif), Arithmetic::exact, 0);
  const auto good = on_gpu.estimate(head.slab(), 1);
  head.curves[(21 * 30 * 3 + 10 * 30 + 7) * 70 + 5] = 1e30f;  // (3, 10, 7)
  try {
    on_gpu.estimate(head.slab(), 1);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("x 7, y 10, z 3"), std::string::npos) << error.what();
  }
  head = Head();
  EXPECT_EQ(on_gpu.estimate(head.slab(), 1), good);
}

TEST_F(ModelOnGpu, TrainingHasTheBitsOfTheSameKernelsOnTheHost) {
  for (const auto& recipe :
       {shorter(paper(Parameter::mtt), 20), shorter(paper(Parameter::cbf), 20), shorter(modern(Parameter::cbv), 20)}) {
    const Sets sets(recipe.parameter, 50);
    const auto found = train_together({job(recipe, sets)}, {}).front();
    const auto expected = train_together({job(recipe, sets)}, {}, gpu::host_training_table(), 3).front();
    ASSERT_EQ(found.failure, nullptr);
    EXPECT_EQ(found.result.state.weights, expected.result.state.weights) << name(recipe.parameter);
    for (std::size_t e = 0; e < found.result.epochs.size(); ++e) {
      EXPECT_EQ(found.result.epochs[e].training_loss, expected.result.epochs[e].training_loss);
      EXPECT_EQ(found.result.epochs[e].validation_loss, expected.result.epochs[e].validation_loss);
    }
  }
}

TEST_F(ModelOnGpu, GradientsAreTheCpusUpToRounding) {
  for (const Parameter p : {Parameter::cbf, Parameter::mtt}) {
    const Sets sets(p, 200, 30, 9);
    Recipe recipe = paper(p);
    recipe.epochs = 1;
    recipe.batch = 200;
    const auto expected = train(recipe, sets.train, sets.validate);
    const auto found = train_together({job(recipe, sets)}, {}).front().result;
    expect_near(p, found.state.optimiser.velocity, expected.state.optimiser.velocity, 1e-5);
  }
}

TEST_F(ModelOnGpu, NetworksTogetherHaveTheBitsOfOneAlone) {
  const Recipe first = paper(Parameter::mtt), second = paper(Parameter::cbf), third = modern(Parameter::tmax);
  const Sets few(Parameter::mtt, 700), many(Parameter::cbf, 1100, 300), other(Parameter::tmax, 650, 0);
  const auto together = train_together({job(first, few), job(second, many), job(third, other)}, {});
  const auto again = train_together({job(third, other), job(first, few), job(second, many)}, {});
  for (const auto& outcome : together) ASSERT_EQ(outcome.failure, nullptr);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(together[i].result.state.weights, again[(i + 1) % 3].result.state.weights);
  EXPECT_EQ(together[0].result.state.weights, train_together({job(first, few)}, {}).front().result.state.weights);
}

}  // namespace
}  // namespace perfpipe
