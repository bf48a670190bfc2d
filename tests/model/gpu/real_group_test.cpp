// Ranks that share a training on real GPUs, beside one that computes alone: through NCCL where each has its own GPU,
// else through the host. On any number of ranks up to four.
#include "cluster/cuda_devices.hpp"
#include "cluster/device_communicators.hpp"
#include "cluster/placement.hpp"
#include "core/cuda_library.hpp"
#include "tests/cluster/world.hpp"
#include "tests/model/gpu/trainings.hpp"

namespace perfpipe {
namespace {

class GroupOnGpus : public testing::Test {
 protected:
  void SetUp() override {
    std::string problem;
    const auto gpus = visible_cuda_devices(problem);
    if (gpus.empty()) GTEST_SKIP() << "no GPU: " << problem;
    device_ = place_this_rank(world(), DeviceChoice::cuda, gpus, problem, placement_);
    place_ = {device_.index, gpus.at(static_cast<std::size_t>(device_.index)).uuid};
  }

  /// Both architectures and recipes; the last mini-batch of the second has fewer samples than shards.
  void expect_the_bits_of_one_rank(DeviceCommunicator& gpus) const {
    for (const auto& [recipe, samples] :
         {std::pair{shorter(paper(Parameter::mtt), 50), 730}, {shorter(modern(Parameter::cbf), 64), 642}}) {
      const Sets sets(recipe.parameter, static_cast<std::size_t>(samples), 300);
      auto shared = job(recipe, sets);
      shared.hooks.group = &world();
      const auto found = train_together({shared}, {device_.index, &gpus}).front();
      const auto expected = train_together({job(recipe, sets)}, {device_.index}).front();
      ASSERT_EQ(found.failure, nullptr);
      EXPECT_EQ(found.result.state.weights, expected.result.state.weights);
      EXPECT_EQ(found.result.state.optimiser, expected.result.state.optimiser);
      for (std::size_t e = 0; e < expected.result.epochs.size(); ++e) {
        EXPECT_EQ(found.result.epochs[e].training_loss, expected.result.epochs[e].training_loss);
        EXPECT_EQ(found.result.epochs[e].validation_loss, expected.result.epochs[e].validation_loss);
      }
    }
  }

  Placement placement_;
  Device device_;
  NcclPlace place_;
};

TEST_F(GroupOnGpus, HasTheBitsOfOneRankThroughTheHost) {
  const auto gpus = make_host_communicator(world(), cuda_table<CudaCopyTable>(), place_);
  expect_the_bits_of_one_rank(*gpus);
}

// One rank on one GPU sums through NCCL, too.
TEST_F(GroupOnGpus, HasTheBitsOfOneRankThroughNccl) {
  if (placement_.most_ranks_on_one_gpu > 1) GTEST_SKIP() << "more ranks than GPUs: NCCL needs one for each";
  const auto gpus = make_nccl_communicator(world(), cuda_table<NcclTable>(), place_);
  expect_the_bits_of_one_rank(*gpus);
}

}  // namespace
}  // namespace perfpipe
