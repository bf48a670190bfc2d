// Jobs that are killed or asked to stop: the same command finishes them, with the same bits, redoing only what was not
// committed. PERFPIPE_KILLS sets the number of kills (default 4), PERFPIPE_KILL_SEED repeats a series of moments.
#include "tests/e2e/job_files.hpp"

#include <random>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

class Kill : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TempFolder>();
    write_small_cohort(*folder);
    folder->write("job.yaml", cross_validation_job);
    ASSERT_TRUE(ended(run_perfpipe(*folder, {"job.yaml"}), 0));
    duration = nlohmann::json::parse(file_bytes(*folder / "out/manifest.json")).at("seconds");
    expected = results_in(*folder / "out");
  }
  static void TearDownTestSuite() { folder.reset(); }
  void SetUp() override { fs::remove_all(*folder / "out"); }

  static std::vector<std::string> words(int ranks) {
    return ranks == 0 ? perfpipe_words({"job.yaml"}) : mpirun_words(ranks, {"job.yaml"});
  }
  static std::uintmax_t log_bytes() {
    std::error_code error;
    const auto bytes = fs::file_size(*folder / "out/logs/rank-000.jsonl", error);
    return error ? 0 : bytes;
  }
  /// How many tasks the next run would take as they are.
  static int reused() {
    const auto plan = run_perfpipe(*folder, {"job.yaml", "--dry-run"});
    EXPECT_TRUE(ended(plan, 0));
    return task_counts(plan.out).reused;
  }
  /// The last run: it takes what was committed and leaves what an undisturbed one does.
  static void expect_finish(int ranks) {
    const int committed = committed_artifacts(*folder / "out");
    const auto result = run_command(words(ranks), options_in(*folder), 120.0);
    ASSERT_TRUE(ended(result, 0));
    EXPECT_EQ(task_counts(result.err).reused, committed) << result.err;
    EXPECT_TRUE(same_results(expected, results_in(*folder / "out")));
    EXPECT_EQ(temporaries_in(*folder / "out"), std::vector<std::string>());
  }

  /// Starts the job and waits until some tasks are committed and many are not.
  static std::unique_ptr<Command> start_and_wait_for_tasks(int ranks, CommandOptions options) {
    auto command = std::make_unique<Command>(words(ranks), std::move(options));
    while (command->running() && command->seconds() < 60.0 && !fs::exists(*folder / "out/store/binning"))
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_TRUE(command->running()) << command->wait().err;
    return command;
  }
  static void expect_stop_and_finish(int signal, int ranks, const CommandOptions& options) {
    auto command = start_and_wait_for_tasks(ranks, options);
    command->signal(signal);
    const auto stopped = command->wait(30.0);
    EXPECT_TRUE(ended(stopped, 75, {"stopped on request", "same command goes on from here"}));
    const int committed = committed_artifacts(*folder / "out");
    EXPECT_GT(committed, 0);
    EXPECT_LT(committed, task_counts(stopped.err).all);
    expect_finish(ranks);
  }

  static std::unique_ptr<TempFolder> folder;
  static std::map<std::string, std::string> expected;
  static double duration;  ///< of the tasks, s
};
std::unique_ptr<TempFolder> Kill::folder;
std::map<std::string, std::string> Kill::expected;
double Kill::duration = 0.0;

TEST_F(Kill, AtRandomMomentsTheSameCommandGoesOn) {
  const auto kills = number_from_environment("PERFPIPE_KILLS", 4);
  const auto seed = number_from_environment("PERFPIPE_KILL_SEED", std::random_device{}());
  std::printf("%d kills, PERFPIPE_KILL_SEED=%llu\n", static_cast<int>(kills), static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  int finished_before_the_kill = 0;
  for (std::uint64_t k = 0; k < kills; ++k) {
    const int ranks = std::array{0, 2, 4}[random() % 3];
    const double moment = duration * static_cast<double>(random() % 1000) / 1000.0;
    const int before = committed_artifacts(*folder / "out");
    const auto log_before = log_bytes();
    Command command(words(ranks), options_in(*folder));
    // From the first line of its log on: starting MPI takes longer than this whole job.
    while (command.running() && log_bytes() == log_before) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const double begin = command.seconds();
    while (command.running() && command.seconds() < begin + moment)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const bool finished = !command.running();
    command.kill_all();
    command.wait();
    const int committed = committed_artifacts(*folder / "out");
    std::printf("kill %d after %.2f s on %d ranks: %d artifacts, %d before\n", static_cast<int>(k + 1), moment, ranks,
                committed, before);
    EXPECT_GE(committed, before) << "what was finished is lost";
    EXPECT_EQ(reused(), committed) << "what was committed is not taken";
    if (finished) {
      ++finished_before_the_kill;
      EXPECT_TRUE(same_results(expected, results_in(*folder / "out")));
      fs::remove_all(*folder / "out");
    }
  }
  std::printf("%d of them came after the end\n", finished_before_the_kill);
  expect_finish(2);
}

/// A cross-validation whose trainings are most of its time.
std::vector<std::string> long_trainings(const std::string& output, int epochs) {
  return {"job.yaml",
          "--output",
          output,
          "--set",
          "training.parameters=[mtt]",
          "--set",
          "binning.samples=1000",
          "--set",
          "training.epochs=" + std::to_string(epochs)};
}

std::map<std::string, std::string> weights_in(const fs::path& output) {
  std::map<std::string, std::string> weights;
  for (const auto& entry : fs::recursive_directory_iterator(output / "weights"))
    if (entry.is_regular_file()) weights[entry.path().lexically_relative(output).string()] = file_bytes(entry.path());
  return weights;
}

TEST_F(Kill, InTheMiddleOfATrainingItGoesOnFromThere) {
  const auto undisturbed = run_command(mpirun_words(2, long_trainings("long", 6)), options_in(*folder), 120.0);
  ASSERT_TRUE(ended(undisturbed, 0));
  const auto whole = weights_in(*folder / "long");
  ASSERT_EQ(whole.size(), 3u);
  for (const int signal : {SIGUSR1, SIGKILL}) {
    fs::remove_all(*folder / "out");
    // It goes on with more ranks, or with fewer.
    const int before = signal == SIGKILL ? 8 : 2, after = signal == SIGKILL ? 1 : 4;
    Command command(mpirun_words(before, long_trainings("out", 6)), options_in(*folder));
    while (command.running() && command.seconds() < 60.0 && !state_is_saved(*folder / "out"))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_TRUE(command.running());
    if (signal == SIGKILL)
      command.kill_all();
    else
      command.signal(signal);
    const auto stopped = command.wait(30.0);
    if (signal == SIGUSR1) {
      EXPECT_TRUE(ended(stopped, 75));
    }
    const auto result = run_command(mpirun_words(after, long_trainings("out", 6)), options_in(*folder), 120.0);
    ASSERT_TRUE(ended(result, 0));
    std::string logs;
    for (const auto& entry : fs::directory_iterator(*folder / "out/logs")) logs += file_bytes(entry.path());
    EXPECT_NE(logs.find("goes on after epoch"), std::string::npos) << "signal " << signal;
    EXPECT_EQ(weights_in(*folder / "out"), whole) << "signal " << signal;
    for (const auto& entry : fs::directory_iterator(*folder / "out/store/training"))
      EXPECT_FALSE(entry.path().string().ends_with(".state.h5")) << "a state is left behind";
  }
}

TEST_F(Kill, MoreEpochsGoOnFromAFinishedTraining) {
  ASSERT_TRUE(ended(run_command(mpirun_words(2, long_trainings("out", 2)), options_in(*folder), 120.0), 0));
  ASSERT_TRUE(ended(run_command(mpirun_words(2, long_trainings("out", 4)), options_in(*folder), 120.0), 0));
  EXPECT_NE(file_bytes(*folder / "out/logs/rank-000.jsonl").find("goes on after epoch 2 of 4"), std::string::npos);
  ASSERT_TRUE(ended(run_command(mpirun_words(2, long_trainings("four", 4)), options_in(*folder), 120.0), 0));
  EXPECT_EQ(weights_in(*folder / "out"), weights_in(*folder / "four"));
}

TEST_F(Kill, SignalsStopASerialJobResumably) {
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    fs::remove_all(*folder / "out");
    expect_stop_and_finish(signal, 0, options_in(*folder));
  }
}

TEST_F(Kill, LauncherForwardsTheSignalToItsRanks) { expect_stop_and_finish(SIGUSR1, 2, options_in(*folder)); }

}  // namespace
}  // namespace perfpipe
