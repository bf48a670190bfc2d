// What the doctor finds wrong, from made-up facts.
#include "pipeline/doctor.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

RankFacts rank_on(const std::string& node, std::vector<int> cores, int online = 8) {
  RankFacts facts;
  facts.place.node = node;
  facts.place.node_number = node == "n1" ? 0 : 4;
  facts.place.problem = "no driver";
  facts.versions = {{"perfpipe", "0.1.0"}, {"HDF5", "1.10.8"}};
  facts.cores = std::move(cores);
  facts.cores_of_node = online;
  facts.disk_folder = "/scratch";
  facts.free_gibibytes = 100.0;
  facts.writable = true;
  return facts;
}

CudaDevice h100(const std::string& uuid) {
  CudaDevice gpu;
  gpu.name = "H100";
  gpu.uuid = uuid;
  gpu.major = 9;
  return gpu;
}

std::string warning_of(const std::vector<RankFacts>& ranks, bool bound_by_scheduler = false) {
  const auto diagnosis = diagnose(ranks, bound_by_scheduler);
  EXPECT_EQ(diagnosis.code, ExitCode::done);
  EXPECT_TRUE(diagnosis.errors.empty());
  EXPECT_LE(diagnosis.warnings.size(), 1u);
  return diagnosis.warnings.empty() ? "" : diagnosis.warnings.front();
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const std::vector<int> all_cores{0, 1, 2, 3, 4, 5, 6, 7};

TEST(Doctor, FindsNothingWrongWithASoundJob) {
  EXPECT_EQ(warning_of({rank_on("n1", all_cores)}), "");
  EXPECT_EQ(warning_of({rank_on("n1", {0, 1, 2, 3}), rank_on("n1", {4, 5, 6, 7})}), "");
  EXPECT_EQ(warning_of({rank_on("n1", all_cores), rank_on("n1", all_cores), rank_on("n2", all_cores)}), "");
}

TEST(Doctor, WarnsOfVersionsThatDiffer) {
  auto other = rank_on("n2", all_cores);
  other.versions[0].second = "0.2.0";
  const auto text = warning_of({rank_on("n1", all_cores), rank_on("n1", all_cores), other});
  EXPECT_TRUE(holds(text, "perfpipe differs between ranks: 0.1.0 on rank 0, 1; 0.2.0 on rank 2")) << text;
  other = rank_on("n2", all_cores);
  other.versions.emplace_back("NCCL", "2.28.9");
  EXPECT_TRUE(
      holds(warning_of({rank_on("n1", all_cores), other}), "NCCL differs between ranks: 2.28.9 on rank 1; none"));
}

TEST(Doctor, WarnsOfRanksThatFightForCores) {
  const auto text = warning_of({rank_on("n1", {0}), rank_on("n1", {0}), rank_on("n1", {0})});
  EXPECT_TRUE(holds(text, "n1: 3 ranks are bound to 1 of 8 cores (0)") && holds(text, "--bind-to none")) << text;
  EXPECT_TRUE(holds(warning_of({rank_on("n1", {0}, 1), rank_on("n1", {0}, 1)}), "2 ranks on a machine of 1 core"));
  EXPECT_EQ(warning_of({rank_on("n1", {0}, 1), rank_on("n2", {0}, 1)}), "") << "the same number on another node";
}

TEST(Doctor, WarnsOfCoresThatNobodyUses) {
  const std::vector<RankFacts> ranks{rank_on("n1", {0}), rank_on("n1", {1})};
  const auto text = warning_of(ranks);
  EXPECT_TRUE(holds(text, "6 of 8 cores are used by no rank") && holds(text, "slot:PE=4")) << text;
  EXPECT_EQ(warning_of(ranks, true), "") << "a scheduler has given the others to other jobs";
}

TEST(Doctor, WarnsWhereOpenBlasDoesNotKnowTheProcessor) {
  auto rank = rank_on("n1", all_cores);
  rank.versions.emplace_back("BLAS", "OpenBLAS 0.3.21, kernels for Prescott");
  EXPECT_EQ(warning_of({rank}), "") << "an old processor";
  rank.versions.emplace_back("processor", "AVX2 FMA");
  EXPECT_TRUE(holds(warning_of({rank}), "OPENBLAS_CORETYPE=Haswell"));
}

TEST(Doctor, WarnsOfALittleDisk) {
  auto rank = rank_on("n1", all_cores);
  rank.free_gibibytes = 0.25;
  EXPECT_TRUE(holds(warning_of({rank}), "only 0.25 GiB are free in /scratch"));
}

TEST(Doctor, ADiskThatCannotBeWrittenIsAnErrorOfIo) {
  auto rank = rank_on("n1", all_cores);
  rank.writable = false;
  const auto diagnosis = diagnose({rank}, false);
  EXPECT_EQ(diagnosis.code, ExitCode::io);
  ASSERT_EQ(diagnosis.errors.size(), 1u);
  EXPECT_TRUE(holds(diagnosis.errors[0], "/scratch is not writable"));
}

TEST(Doctor, AGpuThatDoesNotComputeIsAnErrorOfTheDevice) {
  auto rank = rank_on("n1", all_cores);
  rank.place.gpus = {h100("A"), h100("B")};
  rank.gpu_trials = {"", "no kernel image is available"};
  const auto diagnosis = diagnose({rank}, false);
  EXPECT_EQ(diagnosis.code, ExitCode::device);
  ASSERT_EQ(diagnosis.errors.size(), 1u);
  EXPECT_TRUE(holds(diagnosis.errors[0], "rank 0 on n1: GPU 1 (H100) does not compute: no kernel image"));
}

TEST(Doctor, WarnsOfGpusThatRanksCannotUseTogether) {
  auto with = rank_on("n1", all_cores);
  with.place.gpus = {h100("A")};
  with.gpu_trials = {""};
  EXPECT_TRUE(
      holds(warning_of({with, rank_on("n2", all_cores)}), "GPUs are there, but not used: 1 of 2 ranks see none"));
}

TEST(Doctor, FactsTravelWhole) {
  auto rank = rank_on("n1", {0, 2, 3});
  rank.place.gpus = {h100("A")};
  rank.gpu_trials = {"broken"};
  EXPECT_EQ(to_json(rank_facts(to_json(rank))), to_json(rank));
}

TEST(Doctor, NamesCoresInRanges) {
  EXPECT_EQ(core_ranges({0, 1, 2, 3, 8}), "0-3,8");
  EXPECT_EQ(core_ranges({5}), "5");
  EXPECT_EQ(core_ranges({}), "unknown");
}

}  // namespace
}  // namespace perfpipe
