// Which rank gets which GPU: the rule, without ranks or GPUs.
#include "cluster/placement.hpp"

#include "core/error.hpp"

#include <map>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

CudaDevice gpu(const std::string& uuid, const std::string& name = "H100", int major = 9) {
  CudaDevice device;
  device.name = name;
  device.uuid = uuid;
  device.memory_bytes = std::size_t{80} << 30;
  device.major = major;
  return device;
}

/// A rank of node `n<node>` that sees these GPUs.
RankView view(int node, int local_rank, const std::vector<std::string>& uuids) {
  RankView rank;
  rank.node = "n" + std::to_string(node);
  rank.node_number = node;
  rank.local_rank = local_rank;
  for (const auto& uuid : uuids) rank.gpus.push_back(gpu(uuid));
  if (uuids.empty()) rank.problem = "this machine has no NVIDIA driver";
  return rank;
}

/// `count` ranks of one node that all see the same GPUs.
std::vector<RankView> unbound(int count, const std::vector<std::string>& uuids, int node = 0) {
  std::vector<RankView> ranks;
  for (int i = 0; i < count; ++i) ranks.push_back(view(node, i, uuids));
  return ranks;
}

/// The UUID that every rank got.
std::vector<std::string> places(const std::vector<RankView>& ranks) {
  const auto placement = place(ranks, DeviceChoice::cuda);
  EXPECT_TRUE(placement.cuda);
  std::vector<std::string> uuids;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    uuids.push_back(ranks[rank].gpus.at(static_cast<std::size_t>(placement.gpu_of_rank.at(rank))).uuid);
  return uuids;
}

std::string refusal(const std::vector<RankView>& ranks) {
  try {
    place(ranks, DeviceChoice::cuda);
  } catch (const DeviceError& error) {
    EXPECT_EQ(error.code(), ExitCode::device);
    return error.what();
  }
  return "accepted";
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

using Uuids = std::vector<std::string>;

TEST(Placement, OneRankTakesTheFirstGpu) { EXPECT_EQ(places(unbound(1, {"A", "B"})), (Uuids{"A"})); }

TEST(Placement, RanksThatSeeAllGpusOfTheirNodeTakeOneEach) {
  EXPECT_EQ(places(unbound(4, {"A", "B", "C", "D"})), (Uuids{"A", "B", "C", "D"}));
  EXPECT_EQ(places(unbound(2, {"A", "B", "C", "D"})), (Uuids{"A", "B"}));
}

TEST(Placement, RanksThatSeeOnlyTheirOwnGpuTakeIt) {
  EXPECT_EQ(places({view(0, 0, {"C"}), view(0, 1, {"A"}), view(1, 0, {"X"})}), (Uuids{"C", "A", "X"}));
}

TEST(Placement, EveryNodeIsFilledByItsOwnRanks) {
  // Ranks dealt out in turn, as mpirun --map-by node and srun --distribution=cyclic do.
  EXPECT_EQ(places({view(0, 0, {"A", "B"}), view(1, 0, {"X", "Y"}), view(0, 1, {"A", "B"}), view(1, 1, {"X", "Y"})}),
            (Uuids{"A", "X", "B", "Y"}));
}

TEST(Placement, CudaOrderIsTheProcessesOwn) {
  // CUDA_VISIBLE_DEVICES=1,0 in one process and 0,1 in another: the numbers differ, the UUIDs do not.
  const std::vector<RankView> ranks{view(0, 0, {"B", "A"}), view(0, 1, {"A", "B"})};
  EXPECT_EQ(places(ranks), (Uuids{"B", "A"}));
  EXPECT_EQ(place(ranks, DeviceChoice::cuda).gpu_of_rank, (std::vector<int>{0, 0}));
}

TEST(Placement, ARankMovesWhereAnotherHasNoChoice) {
  EXPECT_EQ(places({view(0, 0, {"A", "B"}), view(0, 1, {"A"})}), (Uuids{"B", "A"}));
  EXPECT_EQ(places({view(0, 0, {"A", "B"}), view(0, 1, {"B", "C"}), view(0, 2, {"A"}), view(0, 3, {"B", "A", "D"})}),
            (Uuids{"B", "C", "A", "D"}));
}

TEST(Placement, MoreRanksThanGpusShareEvenly) {
  const auto ranks = unbound(6, {"A", "B"});
  std::map<std::string, int> load;
  for (const auto& uuid : places(ranks)) ++load[uuid];
  EXPECT_EQ(load, (std::map<std::string, int>{{"A", 3}, {"B", 3}}));
  const auto placement = place(ranks, DeviceChoice::cuda);
  EXPECT_EQ(placement.most_ranks_on_one_gpu, 3);
  EXPECT_TRUE(holds(placement.summary, "6 ranks on 2 GPUs (H100), up to 3 on one")) << placement.summary;
}

TEST(Placement, TheSameGpuInTwoContainersIsOneGpu) {
  // Two containers of a machine are two nodes to MPI, and share its GPUs all the same.
  EXPECT_EQ(places({view(0, 0, {"A", "B"}), view(1, 0, {"A", "B"})}), (Uuids{"A", "B"}));
}

TEST(Placement, TooManyRanksOnOneGpuAreRefusedWithTheRemedy) {
  EXPECT_EQ(place(unbound(8, {"A"}), DeviceChoice::cuda).most_ranks_on_one_gpu, 8);
  const auto text = refusal(unbound(9, {"A"}));
  EXPECT_TRUE(holds(text, "9 ranks on 1 GPU would be more than 8 on one; start at most 8 ranks")) << text;
  const auto fallback = place(unbound(9, {"A"}), DeviceChoice::automatic);
  EXPECT_FALSE(fallback.cuda);
  EXPECT_TRUE(holds(fallback.warning, "start at most 8 ranks")) << fallback.warning;
}

TEST(Placement, TheJobMayAskForTheCpu) {
  const auto placement = place(unbound(2, {"A", "B"}), DeviceChoice::cpu);
  EXPECT_FALSE(placement.cuda);
  EXPECT_EQ(placement.kind, "cpu");
  EXPECT_TRUE(placement.gpu_of_rank.empty());
  EXPECT_EQ(placement.warning, "");
}

TEST(Placement, WithoutAnyGpuTheCpuComputesAndTheReasonIsSaid) {
  const auto placement = place(unbound(2, {}), DeviceChoice::automatic);
  EXPECT_FALSE(placement.cuda);
  EXPECT_EQ(placement.kind, "cpu");
  EXPECT_EQ(placement.warning, "") << "nothing to warn of on a machine without a GPU";
  EXPECT_TRUE(holds(placement.summary, "the CPU: rank 0 on n0: this machine has no NVIDIA driver"))
      << placement.summary;
  const auto text = refusal(unbound(1, {}));
  EXPECT_TRUE(holds(text, "parallel.device = cuda, but there is no GPU: this machine has no NVIDIA driver")) << text;
  EXPECT_TRUE(holds(text, "device: auto")) << text;
}

TEST(Placement, ARankWithoutAGpuKeepsAllOnTheCpu) {
  auto ranks = unbound(2, {"A", "B"});
  ranks.push_back(view(1, 0, {}));
  const auto placement = place(ranks, DeviceChoice::automatic);
  EXPECT_FALSE(placement.cuda) << "some on the GPU and some on the CPU would be a mixture of bits";
  EXPECT_TRUE(holds(placement.warning, "1 of 3 ranks see none (rank 2 on n1:")) << placement.warning;
  const auto text = refusal(ranks);
  EXPECT_TRUE(holds(text, "rank 2 on n1") && holds(text, "as many ranks on every node as it has GPUs")) << text;
}

TEST(Placement, GpusOfDifferentCapabilityDoNotMix) {
  auto ranks = unbound(2, {"A", "B"});
  ranks[0].gpus = {gpu("A", "A100", 8)};
  ranks[1].gpus = {gpu("B", "H100", 9)};
  const auto text = refusal(ranks);
  EXPECT_TRUE(holds(text, "A100 (8.0), H100 (9.0)") && holds(text, "CUDA_VISIBLE_DEVICES")) << text;
  EXPECT_FALSE(place(ranks, DeviceChoice::automatic).cuda);
  EXPECT_NE(place(ranks, DeviceChoice::automatic).warning, "");
}

TEST(Placement, TheKindIsThatOfTheGpu) {
  EXPECT_EQ(place(unbound(1, {"A"}), DeviceChoice::automatic).kind, "cuda 9.0");
  auto older = unbound(1, {"A"});
  older[0].gpus = {gpu("A", "A100", 8)};
  EXPECT_EQ(place(older, DeviceChoice::automatic).kind, "cuda 8.0");
}

TEST(Placement, SixtyFourRanksOnEightNodesAreQuick) {
  std::vector<RankView> ranks;
  for (int node = 0; node < 8; ++node) {
    std::vector<std::string> uuids;
    for (int i = 0; i < 8; ++i) uuids.push_back("GPU-" + std::to_string(node) + std::to_string(i));
    for (const auto& rank : unbound(8, uuids, node)) ranks.push_back(rank);
  }
  const auto got = places(ranks);
  std::map<std::string, int> load;
  for (const auto& uuid : got) EXPECT_EQ(++load[uuid], 1) << uuid;
}

}  // namespace
}  // namespace perfpipe
