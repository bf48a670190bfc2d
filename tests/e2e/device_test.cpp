// Where a job computes. The tests hide all GPUs, so that they see the same on a machine that has some.
#include "tests/e2e/job_files.hpp"

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

class WithoutGpu : public testing::Test {
 protected:
  WithoutGpu() {
    write_small_cohort(folder_, 1);
    folder_.write("job.yaml", maps_job);
  }
  CommandResult run(int ranks, const std::vector<std::string>& arguments) {
    auto options = options_in(folder_);
    options.environment["CUDA_VISIBLE_DEVICES"] = "";
    return run_command(ranks == 1 ? perfpipe_words(arguments) : mpirun_words(ranks, arguments), options);
  }
  TempFolder folder_;
};

TEST_F(WithoutGpu, AJobThatAsksForOneEndsWithTheReasonAndTheRemedy) {
  for (const int ranks : {1, 2}) {
    const auto result = run(ranks, {"job.yaml", "--set", "parallel.device=cuda"});
    EXPECT_TRUE(ended(result, 5, {"error", "parallel.device = cuda", "there is no GPU", "device: auto"})) << ranks;
    EXPECT_FALSE(fs::exists(folder_ / "out")) << "nothing was begun";
  }
}

TEST_F(WithoutGpu, AJobThatAsksForOneCanBeCheckedAllTheSame) {
  EXPECT_TRUE(ended(run(1, {"validate", "job.yaml", "--set", "parallel.device=cuda"}), 0));
}

TEST_F(WithoutGpu, TheCpuComputesAndTheLogSaysSo) {
  const auto result = run(2, {"job.yaml", "--set", "parallel.device=auto"});
  EXPECT_TRUE(ended(result, 0, {"computing on the CPU"}));
  const auto expected = results_in(folder_ / "out");
  EXPECT_TRUE(ended(run(1, {"job.yaml", "--output", "other", "--set", "parallel.device=cpu"}), 0,
                    {"computing on the CPU (parallel.device = cpu)"}));
  EXPECT_TRUE(same_results(expected, results_in(folder_ / "other")));
}

/// A copy of the executable with a false CUDA library beside it, which sees the GPUs that the test names.
class WithFalseGpus : public testing::Test {
 protected:
  WithFalseGpus() {
    write_small_cohort(folder_, 1);
    folder_.write("job.yaml", std::string(maps_job) + "parallel: {device: cuda}\n");
    fs::create_directories(folder_ / "bin");
    fs::copy_file(perfpipe_executable(), program());
    fs::copy_file(build_folder() / "tests/false_cuda/libperfpipe_cuda.so", folder_ / "bin/libperfpipe_cuda.so");
  }
  fs::path program() const { return folder_ / "bin/perfpipe"; }
  /// One rank for each text, which says what that rank sees.
  CommandResult run(const std::vector<std::string>& gpus, const std::vector<std::string>& arguments) {
    std::vector<std::string> words{PERFPIPE_MPIRUN};
    for (const auto& seen : gpus) {
      if (words.size() > 1) words.push_back(":");
      words.insert(words.end(), {"-np", "1", "env", "PERFPIPE_FALSE_GPUS=" + seen, program().string()});
      words.insert(words.end(), arguments.begin(), arguments.end());
    }
    return run_command(std::move(words), options_in(folder_));
  }
  /// The GPU of each rank, by the ranks' logs.
  std::vector<std::string> gpus_used(int ranks) const {
    std::vector<std::string> used;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto lines = lines_of(file_bytes(folder_ / ("out/logs/rank-00" + std::to_string(rank) + ".jsonl")));
      for (const auto& line : lines)
        if (const auto event = nlohmann::json::parse(line); event.value("event", "") == "start")
          used.push_back(event.at("gpu"));
    }
    return used;
  }
  TempFolder folder_;
};

using Gpus = std::vector<std::string>;

TEST_F(WithFalseGpus, EachRankGetsItsOwn) {
  EXPECT_TRUE(ended(run({"A:9 B:9", "A:9 B:9"}, {"job.yaml"}), 0, {"computing on 2 ranks on 2 GPUs (False GPU 9)"}));
  EXPECT_EQ(gpus_used(2), (Gpus{"GPU-A", "GPU-B"}));
  EXPECT_EQ(nlohmann::json::parse(file_bytes(folder_ / "out/manifest.json")).at("device"), "cuda 9.0");
}

TEST_F(WithFalseGpus, WhatASchedulerBoundIsTaken) {
  EXPECT_TRUE(ended(run({"B:9", "A:9"}, {"job.yaml"}), 0, {"2 ranks on 2 GPUs"}));
  EXPECT_EQ(gpus_used(2), (Gpus{"GPU-B", "GPU-A"}));
}

TEST_F(WithFalseGpus, MoreRanksThanGpusShare) {
  EXPECT_TRUE(ended(run({"A:9 B:9", "A:9 B:9", "A:9 B:9"}, {"job.yaml"}), 0, {"3 ranks on 2 GPUs", "up to 2 on one"}));
  EXPECT_EQ(gpus_used(3), (Gpus{"GPU-A", "GPU-A", "GPU-B"}));
}

TEST_F(WithFalseGpus, ARankWithoutOneEndsTheJobOrKeepsItOnTheCpu) {
  EXPECT_TRUE(
      ended(run({"A:9", ""}, {"job.yaml"}), 5, {"1 of 2 ranks see none", "rank 1 on ", "the driver sees no GPU"}));
  EXPECT_TRUE(ended(run({"A:9", "B:8"}, {"job.yaml"}), 5, {"of different kinds", "False GPU 8 (8.0)"}));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

/// The kernels' bodies run on the host there: what the stages hand to a GPU, and make of what it gives back.
TEST_F(WithFalseGpus, StagesComputeOnThem) {
  write_small_cohort(folder_);
  folder_.write("cv.yaml", std::string(cross_validation_job) + "parallel: {device: cuda}\n");
  const std::vector<std::string> short_training{"--set", "binning.samples=40", "--set",
                                                "training.parameters=[cbf,mtt]"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), short_training.begin(), short_training.end());
    return arguments;
  };
  EXPECT_TRUE(ended(run({"A:9"}, with({"cv.yaml", "--output", "cpu", "--set", "parallel.device=cpu"})), 0));
  const auto trained = run({"A:9"}, with({"cv.yaml", "--output", "gpu"}));
  EXPECT_TRUE(ended(trained, 0, {"computing on 1 rank on 1 GPU"}));
  EXPECT_NE(trained.err.find("training 6 networks together on the GPU"), std::string::npos) << trained.err;
  for (const char* network : {"cbf", "mtt"}) {
    const auto file = std::string("weights/without-sub-01/") + network + ".safetensors";
    const auto by_gpu = file_bytes(folder_ / "gpu" / file), by_cpu = file_bytes(folder_ / "cpu" / file);
    EXPECT_EQ(by_gpu.size(), by_cpu.size());
    EXPECT_NE(by_gpu, by_cpu) << "sums in another order: this was trained on the CPU";
  }
  // Deconvolution and the networks' maps have the CPU's bits.
  folder_.write("maps.yaml",
                "output: maps\ncohort: cohort\nstages: [import, interpolation, aif, bsvd_targets, inference: {weights: "
                "cpu}, export]\nparallel: {device: cuda}\n");
  EXPECT_TRUE(ended(run({"A:9"}, {"maps.yaml"}), 0, {"computing on 1 rank on 1 GPU"}));
  EXPECT_TRUE(ended(run({"A:9"}, {"maps.yaml", "--output", "maps_cpu", "--set", "parallel.device=cpu"}), 0));
  EXPECT_TRUE(same_results(results_in(folder_ / "maps_cpu"), results_in(folder_ / "maps")));
  // In TF32 they are close, and do not pass for the same.
  EXPECT_TRUE(ended(run({"A:9"}, {"maps.yaml", "--output", "fast", "--set", "inference.precision=fast"}), 0));
  const auto map = "derivatives/sub-01/perf/sub-01_desc-cnn_mtt.nii.gz";
  EXPECT_NE(file_bytes(folder_ / "fast" / map), file_bytes(folder_ / "maps" / map));
}

TEST_F(WithFalseGpus, RanksShareATrainingWithTheBitsOfOne) {
  write_small_cohort(folder_);
  folder_.write(
      "training.yaml",
      "output: one\ncohort: cohort\nstages: [import, interpolation, aif, bsvd_targets, binning: {samples: 40}, "
      "training: {parameters: [cbf], epochs: 2}]\nparallel: {device: cuda}\n");
  EXPECT_TRUE(ended(run({"A:9"}, {"training.yaml"}), 0));
  const auto expected = results_in(folder_ / "one");
  // One of three networks is gone.
  const auto without_one = [&](const std::string& output) {
    fs::copy(folder_ / "one", folder_ / output, fs::copy_options::recursive);
    EXPECT_TRUE(fs::remove(folder_ / output / "store/training/fold-sub-01_cbf.h5"));
    return std::vector<std::string>{"training.yaml", "--output", output};
  };
  const std::string four = "A:9 B:9 C:9 D:9";
  EXPECT_TRUE(ended(run({four, four, four, four}, without_one("shared")), 0,
                    {"training/fold-sub-01_cbf: shared by 4 GPUs, MPI through the host: rank 0: there is a false"}));
  EXPECT_TRUE(same_results(expected, results_in(folder_ / "shared")));
  const auto crowded = run({"A:9", "A:9"}, without_one("crowded"));
  EXPECT_TRUE(ended(crowded, 0, {"2 ranks on 1 GPU"}));
  EXPECT_EQ(crowded.err.find("shared by"), std::string::npos) << "ranks on one GPU only wait for each other";
  EXPECT_TRUE(same_results(expected, results_in(folder_ / "crowded")));
}

TEST_F(WithFalseGpus, TheDoctorTriesThem) {
  const auto sound = run({"A:9 B:9", "A:9 B:9"}, {"doctor"});
  EXPECT_TRUE(ended(sound, 0));
  for (const auto& pieces : std::vector<std::vector<std::string>>{{"CUDA driver", "13.0"},
                                                                  {"NCCL", "there is a false library only"},
                                                                  {"computing on", "2 ranks on 2 GPUs"},
                                                                  {"GPU-B: False GPU 9, 80 GiB"},
                                                                  {"rank 1: cores", "GPU-B"}})
    EXPECT_TRUE(has_line(lines_of(sound.out), pieces)) << sound.out;
  const auto broken = run({"A:9 B:9!"}, {"doctor"});
  EXPECT_TRUE(ended(broken, 5));
  EXPECT_TRUE(has_line(lines_of(broken.out), {"error: rank 0", "GPU 1 (False GPU 9) does not compute: it is false"}))
      << broken.out;
}

}  // namespace
}  // namespace perfpipe
