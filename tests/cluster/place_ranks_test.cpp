// Placement over the ranks of this test: what each sees is made up, the talk between them is real.
#include "cluster/placement.hpp"
#include "core/error.hpp"
#include "tests/cluster/world.hpp"

#include <set>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

CudaDevice gpu(int number) {
  CudaDevice device;
  device.name = "H100";
  device.uuid = "GPU-" + std::to_string(number);
  device.major = 9;
  return device;
}

TEST(PlaceRanks, RanksThatSeeAllGpusGetOneEach) {
  std::vector<CudaDevice> gpus;
  for (int i = 0; i < world().size(); ++i) gpus.push_back(gpu(i));
  Placement placement;
  const Device device = place_this_rank(world(), DeviceChoice::automatic, gpus, "", placement);
  EXPECT_TRUE(device.cuda);
  EXPECT_EQ(device.index, world().rank());
  EXPECT_EQ(device.kind, "cuda 9.0");
  EXPECT_EQ(placement.gpu_of_rank.size(), static_cast<std::size_t>(world().size()));
}

TEST(PlaceRanks, ABoundRankGetsTheOneItSees) {
  Placement placement;
  const Device device = place_this_rank(world(), DeviceChoice::cuda, {gpu(world().rank())}, "", placement);
  EXPECT_TRUE(device.cuda);
  EXPECT_EQ(device.index, 0);
  EXPECT_EQ(placement.most_ranks_on_one_gpu, 1);
}

TEST(PlaceRanks, OneRankWithoutAGpuKeepsAllOnTheCpu) {
  const bool without = world().rank() == world().size() - 1;
  Placement placement;
  const Device device =
      place_this_rank(world(), DeviceChoice::automatic, without ? std::vector<CudaDevice>{} : std::vector{gpu(0)},
                      without ? "no driver" : "", placement);
  EXPECT_FALSE(device.cuda);
  EXPECT_EQ(device.kind, "cpu");
  EXPECT_NE(placement.summary, "");
  EXPECT_EQ(placement.warning.empty(), world().size() == 1) << "on all ranks the same: " << placement.warning;
}

TEST(PlaceRanks, RanksOfTheNodeAreAGroup) {
  const auto node = world().split_by_node("test");
  EXPECT_EQ(node->size(), world().size());  // mpirun of the tests starts all on this machine
  EXPECT_EQ(node->rank(), world().rank());
}

}  // namespace
}  // namespace perfpipe
