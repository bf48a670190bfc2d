// Where a job computes. The tests hide all GPUs, so that they see the same on a machine that has some.
#include "tests/e2e/job_files.hpp"

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
  const auto result = run(2, {"job.yaml"});
  EXPECT_TRUE(ended(result, 0, {"computing on the CPU"}));
  const auto expected = results_in(folder_ / "out");
  EXPECT_TRUE(ended(run(1, {"job.yaml", "--output", "other", "--set", "parallel.device=cpu"}), 0,
                    {"computing on the CPU, as the job asks"}));
  EXPECT_TRUE(same_results(expected, results_in(folder_ / "other")));
}

}  // namespace
}  // namespace perfpipe
