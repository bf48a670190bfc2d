// One rank fails in the middle of a job: all end at once, with the error's exit code and its words as the last line.
#include "tests/e2e/job_files.hpp"

#include <chrono>
#include <ctime>
#include <optional>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

/// One short chain of tasks beside trainings that would take many minutes.
constexpr char long_job[] =
    "output: out\n"
    "cohort: cohort\n"
    "stages:\n"
    "  - import\n"
    "  - interpolation\n"
    "  - aif\n"
    "  - bsvd_targets\n"
    "  - binning: {samples: 300}\n"
    "  - training: {epochs: 10000, parameters: [cbf]}\n"
    "  - bsvd_targets: {as: other, threshold: 0.2}\n";

class RankFailure : public testing::Test {
 protected:
  RankFailure() {
    write_small_cohort(folder_);
    folder_.write("job.yaml", long_job);
  }

  /// Seconds since 1970 at which a task was started, by the ranks' logs.
  std::optional<double> start_of(const std::string& task) const {
    for (const auto& entry : fs::directory_iterator(folder_ / "out/logs"))
      for (const auto& line : lines_of(file_bytes(entry.path()))) {
        const auto json = nlohmann::json::parse(line, nullptr, false);
        if (!json.is_object() || json.value("event", "") != "task started" || json.value("task", "") != task) continue;
        std::tm time{};
        double seconds = 0.0;
        const std::string text = json.at("time");
        if (std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%lfZ", &time.tm_year, &time.tm_mon, &time.tm_mday, &time.tm_hour,
                        &time.tm_min, &seconds) != 6)
          continue;
        time.tm_year -= 1900;
        time.tm_mon -= 1;
        return static_cast<double>(::timegm(&time)) + seconds;
      }
    return std::nullopt;
  }

  void expect_quick_end(Command& command, const std::string& task, int code, const std::vector<std::string>& pieces) {
    const auto result = command.wait(90.0);
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    ASSERT_TRUE(ended(result, code, pieces));
    const std::string last = lines_of(result.err).back();
    EXPECT_TRUE(last.starts_with("perfpipe: error on rank ")) << result.err;
    EXPECT_TRUE(has_line({last}, pieces)) << result.err;
    const auto start = start_of(task);
    ASSERT_TRUE(start.has_value()) << task << " was not started";
    EXPECT_LT(now - *start, 5.0) << "seconds from the start of the task that failed to the end of all ranks";
  }

  /// Waits until a file stands there, stops all ranks, makes the change, and lets them go on.
  void change_when(Command& command, const fs::path& file, const std::function<void()>& change) {
    while (command.running() && command.seconds() < 60.0 && !fs::exists(folder_ / file))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_TRUE(fs::exists(folder_ / file)) << command.wait().err;
    command.kill_all(SIGSTOP);
    change();
    command.kill_all(SIGCONT);
  }

  TempFolder folder_;
};

TEST_F(RankFailure, WhileTheOthersAreInLongTasks) {
  fs::create_directories(folder_ / "out/store/other/sub-02.h5");  // a folder where a file is to come
  Command command(mpirun_words(4, {"job.yaml"}), options_in(folder_));
  expect_quick_end(command, "other/sub-02", 4, {"other/sub-02", "out/store/other/sub-02.h5", "Is a directory"});
}

TEST_F(RankFailure, InputThatVanishesAfterPlanning) {
  folder_.write("job.yaml", maps_job);
  Command command(mpirun_words(4, {"job.yaml"}), options_in(folder_));
  bool in_time = false;
  change_when(command, "out/store/import/sub-03.h5", [&] {
    in_time = !fs::exists(folder_ / "out/store/export/sub-03.h5");
    fs::remove(folder_ / (stem_of("sub-03") + "_dsc.nii"));
  });
  ASSERT_TRUE(in_time) << "the machine was too slow to change the input in time";
  expect_quick_end(command, "export/sub-03", 3, {"export/sub-03", "sub-03_dsc.nii", "No such file"});
}

TEST_F(RankFailure, StoreFileThatIsDamagedAfterItWasWritten) {
  Command command(mpirun_words(4, {"job.yaml"}), options_in(folder_));
  change_when(command, "out/store/bsvd_targets/sub-01.h5",
              [&] { fs::resize_file(folder_ / "out/store/interpolation/sub-01.h5", 5000); });
  const auto result = command.wait(90.0);
  EXPECT_TRUE(
      ended(result, 4, {"perfpipe: error on rank ", "out/store/interpolation/sub-01.h5", "5000", "run the job again"}));
  EXPECT_TRUE(has_line({lines_of(result.err).back()}, {"perfpipe: error on rank ", "sub-01.h5"})) << result.err;
  EXPECT_TRUE(ended(run_perfpipe(folder_, {"job.yaml", "--set", "training.epochs=1"}), 0,
                    {"interpolation/sub-01.h5", "made anew"}));
}

TEST_F(RankFailure, StoreFolderThatIsAFile) {
  folder_.write("out/store/other", "not a folder");
  Command command(mpirun_words(4, {"job.yaml"}), options_in(folder_));
  const auto result = command.wait(90.0);
  EXPECT_TRUE(ended(result, 4, {"perfpipe: error on rank ", "out/store/other", "cannot be created"}));
  EXPECT_TRUE(has_line({lines_of(result.err).back()}, {"perfpipe: error on rank ", "out/store/other"})) << result.err;
}

}  // namespace
}  // namespace perfpipe
