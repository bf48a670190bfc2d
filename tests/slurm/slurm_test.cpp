// The scripts in slurm/ on the two nodes of mini_slurm.sh, which starts this program: the same bits as one rank, also
// after a signal, and after a rank that was killed.
#include "tests/e2e/job_files.hpp"

#include <functional>
#include <set>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

/// Two nodes with two ranks each: enough for messages within a node, between nodes, and for shared trainings.
const std::vector<std::string> two_by_two{"--nodes=2", "--ntasks-per-node=2"};

/// Trainings of some tenths of a second each, so that a job can be caught in the middle of them.
constexpr char training_job[] =
    "output: out\n"
    "cohort: cohort\n"
    "stages:\n"
    "  - import\n"
    "  - interpolation\n"
    "  - aif\n"
    "  - bsvd_targets\n"
    "  - binning: {samples: 500}\n"
    "  - training: {epochs: 4}\n"
    "  - inference\n"
    "  - masking\n"
    "  - evaluation\n"
    "  - export\n"
    "  - report\n";

constexpr char new_patients_job[] =
    "output: out\n"
    "cohort: cohort\n"
    "stages:\n"
    "  - import\n"
    "  - interpolation\n"
    "  - aif\n"
    "  - inference: {weights: trained}\n"
    "  - export\n";

bool wait_until(double limit, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// The ranks on a node (0 or 1): processes whose environment Slurm has filled for it.
std::vector<pid_t> ranks_on_node(int node) {
  std::vector<pid_t> found;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    if (file_bytes(it->path() / "comm") != "perfpipe\n") continue;
    const std::string environment = '\0' + file_bytes(it->path() / "environ");
    const std::string entry = std::string(1, '\0') + "SLURM_NODEID=" + std::to_string(node) + '\0';
    if (environment.find(entry) != std::string::npos) found.push_back(std::stoi(it->path().filename().string()));
  }
  return found;
}

void signal_all(const std::vector<pid_t>& processes, int signal) {
  for (const auto process : processes) ::kill(process, signal);
}

/// Whether a signal was sent to a process that is stopped and has not yet taken it.
bool is_pending(int signal, pid_t process) {
  std::istringstream status(file_bytes("/proc/" + std::to_string(process) + "/status"));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("ShdPnd:")) return (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0;
  return false;
}

class Slurm : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_NE(std::getenv("SLURM_CONF"), nullptr) << "start this by tests/slurm/mini_slurm.sh, as ctest does";
    folder = std::make_unique<TempFolder>();
    write_small_cohort(*folder);
    folder->write("train.yaml", training_job);
    folder->write("maps.yaml", new_patients_job);
    ASSERT_TRUE(ended(run_perfpipe(*folder, {"train.yaml"}, 120.0), 0));
    expected = results_in(*folder / "out");
    fs::rename(*folder / "out", *folder / "trained");
  }
  static void TearDownTestSuite() { folder.reset(); }
  void SetUp() override {
    ASSERT_NE(folder, nullptr);
    fs::remove_all(*folder / "out");
    fs::remove(*folder / "slurm.out");
    let_go.clear();
  }

  static CommandResult slurm(std::vector<std::string> words) {
    CommandOptions options;
    options.folder = folder->path();
    options.environment = {{"PERFPIPE", perfpipe_executable()}};
    return run_command(std::move(words), options, 30.0);
  }
  /// Puts slurm/SCRIPT into the queue; returns the job's number.
  static std::string submit(const std::string& script, const std::string& job, std::vector<std::string> options) {
    std::vector<std::string> words{"sbatch", "--parsable", "--output=slurm.out"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {std::string(PERFPIPE_SOURCE_DIR) + "/slurm/" + script, job});
    const auto result = slurm(words);
    EXPECT_TRUE(ended(result, 0));
    return result.out.substr(0, result.out.find('\n'));
  }
  /// One field of what the controller knows of a job.
  static std::string field(const std::string& job, const std::string& name) {
    const std::string text = " " + slurm({"scontrol", "show", "job", "--oneliner", job}).out;
    const auto place = text.find(" " + name + "=");
    if (place == std::string::npos) return "";
    const auto begin = place + name.size() + 2;
    return text.substr(begin, text.find(' ', begin) - begin);
  }
  /// A requeued job is let go soon, where Slurm would wait two minutes; not at once: in the second in which a node has
  /// ended a job it takes the next start for the one that was ended.
  static std::string state_of(const std::string& job) {
    const auto state = field(job, "JobState"), restarts = field(job, "Restarts");
    if (state == "PENDING" && restarts != "0" && restarts != let_go &&
        slurm({"scontrol", "update", "JobId=" + job, "StartTime=now+3"}).code == 0)
      let_go = restarts;
    return state;
  }
  /// Waits for the job's end, its state is returned. Any state that is not an end is waited out: beside PENDING and
  /// RUNNING Slurm has a dozen that last for moments (CONFIGURING, SIGNALING, COMPLETING, REQUEUED ...).
  static std::string end_of(const std::string& job) {
    static const std::set<std::string> ends{"COMPLETED", "FAILED",    "CANCELLED",     "TIMEOUT", "NODE_FAIL",
                                            "PREEMPTED", "BOOT_FAIL", "OUT_OF_MEMORY", "DEADLINE"};
    std::string state;
    wait_until(90.0, [&] { return ends.contains(state = state_of(job)); });
    return state;
  }
  static std::string said() { return file_bytes(*folder / "slurm.out"); }
  static int ranks_of_last_run() {
    return nlohmann::json::parse(file_bytes(*folder / "out/manifest.json")).at("ranks");
  }
  static bool in_the_middle_of_a_training(const std::string& job) {
    return wait_until(60.0, [&] { return state_is_saved(*folder / "out"); }) && field(job, "JobState") == "RUNNING";
  }

  static void expect_that_it_was_stopped_and_went_on() {
    for (const char* words : {"stopped on request", "perfpipe ended with 75"})
      EXPECT_NE(said().find(words), std::string::npos) << said();
    std::string logs;
    for (const auto& entry : fs::directory_iterator(*folder / "out/logs")) logs += file_bytes(entry.path());
    EXPECT_NE(logs.find("goes on after epoch"), std::string::npos) << "no training went on from a saved state";
    EXPECT_TRUE(same_results(expected, results_in(*folder / "out")));
  }

  static std::unique_ptr<TempFolder> folder;
  static std::map<std::string, std::string> expected;  ///< of one rank
  static std::string let_go;                           ///< the restart that was let go last
};
std::unique_ptr<TempFolder> Slurm::folder;
std::string Slurm::let_go;
std::map<std::string, std::string> Slurm::expected;

TEST_F(Slurm, TheDoctorLooksAtBothNodes) {
  const auto result = slurm({"srun", "--mpi=pmix", "--nodes=2", "--ntasks=4", "--ntasks-per-node=2",
                             perfpipe_executable(), "doctor", "--output", (*folder / "out").string()});
  EXPECT_TRUE(ended(result, 0));
  for (const char* line : {"node n1: 2 ranks", "node n2: 2 ranks", "MPI_THREAD_MULTIPLE", "rank 3: cores "})
    EXPECT_NE(result.out.find(line), std::string::npos) << line << " is not in:\n" << result.out;
}

TEST_F(Slurm, TwoNodesGiveTheBitsOfOneRank) {
  const auto job = submit("cv.sbatch", "train.yaml", two_by_two);
  ASSERT_EQ(end_of(job), "COMPLETED") << said();
  EXPECT_EQ(field(job, "NodeList"), "n[1-2]");
  EXPECT_EQ(ranks_of_last_run(), 4);
  EXPECT_TRUE(same_results(expected, results_in(*folder / "out")));
}

TEST_F(Slurm, ASignalledJobSavesItsTrainingsAndGoesOnFromTheQueue) {
  const auto job = submit("cv.sbatch", "train.yaml", two_by_two);
  ASSERT_TRUE(in_the_middle_of_a_training(job)) << said();
  EXPECT_TRUE(ended(slurm({"scancel", "--signal=USR1", job}), 0));  // to the ranks, as --signal=USR1@60 sends it
  ASSERT_EQ(end_of(job), "COMPLETED") << said();
  EXPECT_EQ(field(job, "Restarts"), "1");
  expect_that_it_was_stopped_and_went_on();
}

TEST_F(Slurm, AJobWhoseTimeEndsIsToldByTheScriptsOwnOption) {
  // Slurm looks at time limits every 30 s, and sends a signal up to 30 s early: with a limit of a minute, USR1@60 comes
  // at the first look. Ranks that are stopped meanwhile are in the middle of a training whenever that is.
  const auto job = submit("cv.sbatch", "train.yaml", {"--nodes=2", "--ntasks-per-node=2", "--time=1"});
  std::vector<pid_t> ranks;
  ASSERT_TRUE(wait_until(60.0, [&] {
    state_of(job);  // the first look may come before a training has begun: then it is that of the next start
    return state_is_saved(*folder / "out") && !(ranks = ranks_on_node(0)).empty();
  })) << said();
  const auto there = ranks_on_node(1);
  ranks.insert(ranks.end(), there.begin(), there.end());
  signal_all(ranks, SIGSTOP);
  const bool told = wait_until(40.0, [&] {  // Slurm lets them go on at once, or they wait for us with the signal
    return said().find("stopped on request") != std::string::npos ||
           std::all_of(ranks.begin(), ranks.end(), [](pid_t rank) { return is_pending(SIGUSR1, rank); });
  });
  signal_all(ranks, SIGCONT);
  EXPECT_EQ(ranks.size(), 4u);
  EXPECT_TRUE(told) << "no USR1 came to all ranks; " << said();
  ASSERT_EQ(end_of(job), "COMPLETED") << said();
  EXPECT_NE(field(job, "Restarts"), "0");
  EXPECT_EQ(said().find("DUE TO TIME LIMIT"), std::string::npos) << said();
  expect_that_it_was_stopped_and_went_on();
}

TEST_F(Slurm, AKilledRankEndsTheJobOnBothNodes) {
  auto job = submit("cv.sbatch", "train.yaml", two_by_two);
  ASSERT_TRUE(in_the_middle_of_a_training(job)) << said();
  ASSERT_EQ(ranks_on_node(0).size(), 2u);
  const auto there = ranks_on_node(1);
  ASSERT_EQ(there.size(), 2u);
  ::kill(there.back(), SIGKILL);
  EXPECT_TRUE(wait_until(15.0, [] { return ranks_on_node(0).empty() && ranks_on_node(1).empty(); }))
      << "ranks live on: " << ranks_on_node(0).size() << " and " << ranks_on_node(1).size();
  EXPECT_EQ(end_of(job), "FAILED") << said();
  EXPECT_NE(field(job, "ExitCode"), "0:0");
  EXPECT_EQ(field(job, "Restarts"), "0") << "it would be killed again and again";

  const int committed = committed_artifacts(*folder / "out");
  EXPECT_GT(committed, 0);
  const auto plan = run_perfpipe(*folder, {"train.yaml", "--dry-run"});
  EXPECT_EQ(task_counts(plan.out).reused, committed) << "what stands in the store is whole";
  job = submit("cv.sbatch", "train.yaml", two_by_two);
  ASSERT_EQ(end_of(job), "COMPLETED") << said();
  EXPECT_TRUE(same_results(expected, results_in(*folder / "out")));
  EXPECT_EQ(temporaries_in(*folder / "out"), std::vector<std::string>());
}

TEST_F(Slurm, MapsOfNewPatientsWithOneRankForEachGpu) {
  ASSERT_TRUE(ended(run_perfpipe(*folder, {"maps.yaml"}), 0));
  const auto serial = results_in(*folder / "out");
  ASSERT_TRUE(serial.contains("derivatives/sub-02/perf/sub-02_desc-cnn_tmax.nii.gz"));
  fs::remove_all(*folder / "out");
  const auto job = submit("maps.sbatch", "maps.yaml", {"--gpus-per-node=2"});
  ASSERT_EQ(end_of(job), "COMPLETED") << said();
  EXPECT_EQ(ranks_of_last_run(), 2) << "not the script's 8 for a node without GPUs";
  EXPECT_TRUE(same_results(serial, results_in(*folder / "out")));
}

}  // namespace
}  // namespace perfpipe
