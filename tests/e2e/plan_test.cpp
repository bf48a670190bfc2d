// What is run and what is reused, why, and what --dry-run, --explain and `perfpipe stages` say of it.
#include "tests/e2e/job_files.hpp"

#include <set>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

class Plan : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TempFolder>();
    write_small_cohort(*folder);
    folder->write("job.yaml", cross_validation_job);
    ASSERT_TRUE(ended(run_perfpipe(*folder, {"job.yaml"}), 0));
    finished = results_in(*folder / "out");
  }
  static void TearDownTestSuite() { folder.reset(); }
  void TearDown() override {
    EXPECT_TRUE(same_results(finished, results_in(*folder / "out"))) << "looking has changed something";
  }

  static CommandResult look(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "job.yaml");
    return run_perfpipe(*folder, arguments);
  }
  /// The stages of which some task would run.
  static std::set<std::string> stages_to_run(const std::string& plan) {
    std::set<std::string> stages;
    for (const auto& line : lines_of(plan))
      if (line.starts_with("run ")) {
        const auto begin = line.find_first_not_of(' ', 4);
        stages.insert(line.substr(begin, line.find('/') - begin));
      }
    return stages;
  }
  /// Why a task would run or not, by --explain.
  static std::string reason_of(const std::string& plan, const std::string& task) {
    const auto lines = lines_of(plan);
    for (std::size_t i = 0; i + 1 < lines.size(); ++i)
      if (lines[i].ends_with(" " + task)) return lines[i + 1];
    return "no such task";
  }
  static void expect_to_run(const std::vector<std::string>& settings, const std::set<std::string>& stages) {
    std::vector<std::string> arguments{"--dry-run"};
    for (const auto& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    const auto plan = look(arguments);
    EXPECT_TRUE(ended(plan, 0));
    EXPECT_EQ(stages_to_run(plan.out), stages) << testing::PrintToString(settings);
  }

  static std::unique_ptr<TempFolder> folder;
  static std::map<std::string, std::string> finished;
};
std::unique_ptr<TempFolder> Plan::folder;
std::map<std::string, std::string> Plan::finished;

const std::set<std::string> from_binning{"binning", "exemplars",  "neighbours", "training", "inference",
                                         "masking", "evaluation", "export",     "report"};

TEST_F(Plan, FinishedJobIsReusedWhole) {
  const auto plan = look({"--dry-run"});
  EXPECT_TRUE(ended(plan, 0));
  const auto counts = task_counts(plan.out);
  // import, interpolation, aif, bsvd_targets, neighbours, inference, masking, export of 3 patients; binning, exemplars
  // and training of 3 × 4 folds; evaluation; report.
  EXPECT_EQ(counts.all, 8 * 3 + 3 * 12 + 2);
  EXPECT_EQ(counts.to_run, 0);
  EXPECT_EQ(counts.reused, counts.all);
  const auto again = look({});
  EXPECT_TRUE(ended(again, 0));
  EXPECT_EQ(task_counts(again.err).to_run, 0) << again.err;
}

TEST_F(Plan, ChangedOptionsReachOnlyWhatDependsOnThem) {
  expect_to_run({"masking.cbf_below=40"}, {"masking", "evaluation", "export", "report"});
  expect_to_run({"training.learning_rate.cbf=1e-4"},
                {"training", "inference", "masking", "evaluation", "export", "report"});
  expect_to_run({"binning.bins=5"}, from_binning);
  std::set<std::string> from_targets = from_binning;
  from_targets.insert("bsvd_targets");
  expect_to_run({"bsvd_targets.threshold=0.2"}, from_targets);
  std::set<std::string> from_aif = from_targets;
  from_aif.insert("aif");
  from_aif.insert("interpolation");
  expect_to_run({"interpolation.method=cubic"}, from_aif);
  expect_to_run({"export.compress=false"}, {"export", "report"});
}

TEST_F(Plan, SeedReachesWhatDraws) { expect_to_run({"seed=2"}, from_binning); }

TEST_F(Plan, ThreadsAndMemoryChangeNoResult) {
  const auto plan = look({"--dry-run", "--set", "parallel.threads=7", "--set", "parallel.slab_memory=9"});
  for (const auto& stage : stages_to_run(plan.out)) EXPECT_EQ(stage, "report") << "it shows the job's settings";
}

TEST_F(Plan, ReasonsNameTheOptionAndBothValues) {
  const auto plan = look({"--explain", "--set", "bsvd_targets.threshold=0.2"});
  EXPECT_TRUE(ended(plan, 0));
  EXPECT_TRUE(has_line({reason_of(plan.out, "bsvd_targets/sub-02")}, {"threshold", "0.1", "0.2"})) << plan.out;
  EXPECT_TRUE(has_line({reason_of(plan.out, "binning/fold-sub-02_mtt")}, {"bsvd_targets/sub-01", "changed"}))
      << plan.out;
  EXPECT_TRUE(has_line({reason_of(plan.out, "aif/sub-02")}, {"nothing it depends on has changed"})) << plan.out;
}

TEST_F(Plan, ReasonsNameFilesAndFactsThatHaveChanged) {
  const auto image = *folder / (stem_of("sub-02") + "_dsc.nii");
  const std::string before = file_bytes(image);
  NiftiBuilder other = small_series(2);
  other.descrip = "converted again";
  write_patient(*folder, "sub-02", other);
  const auto plan = look({"--explain"});
  EXPECT_TRUE(has_line({reason_of(plan.out, "import/sub-02")}, {"files", "sub-02_dsc.nii", "changed"})) << plan.out;
  EXPECT_TRUE(has_line({reason_of(plan.out, "import/sub-01")}, {"nothing it depends on has changed"})) << plan.out;
  folder->write(stem_of("sub-02") + "_dsc.nii", before);
  const auto longer = look({"--explain", "--set", "cohort.echo_time=0.04"});
  EXPECT_TRUE(has_line({reason_of(longer.out, "import/sub-01")}, {"echo_time", "0.03", "0.04"})) << longer.out;
}

TEST_F(Plan, FoldsReadNothingOfTheHeldOutPatient) {
  const auto lines = lines_of(look({"--dry-run"}).out);
  int folds = 0;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    const auto fold = lines[i].find("/fold-");
    if (!lines[i].starts_with("reuse ") || fold == std::string::npos) continue;
    ++folds;
    const std::string patient = lines[i].substr(fold + 6, 6);
    std::istringstream reads(lines[i + 1]);
    int of_others = 0;
    for (std::string task; reads >> task;) {
      if (task.find("/fold-" + patient) != std::string::npos) continue;  // the fold's own draws
      EXPECT_EQ(task.find(patient), std::string::npos) << lines[i] << " reads " << task;
      of_others += task.starts_with("bsvd_targets/");
    }
    EXPECT_EQ(of_others, 2) << lines[i] << "\n" << lines[i + 1];
  }
  EXPECT_EQ(folds, 36);
}

TEST_F(Plan, DryRunOfANewJobPrintsTasksAndCreatesNothing) {
  const auto plan = look({"--dry-run", "--output", "new"});
  EXPECT_TRUE(ended(plan, 0));
  EXPECT_EQ(task_counts(plan.out).reused, 0);
  EXPECT_NE(plan.out.find("new/store/training/fold-sub-01_cbf.h5"), std::string::npos);
  EXPECT_TRUE(has_line({reason_of(look({"--explain", "--output", "new"}).out, "import/sub-01")}, {"has not run yet"}));
  EXPECT_FALSE(fs::exists(*folder / "new"));
}

TEST_F(Plan, PlanIsTheSameUnderMpirun) {
  const auto ranks = run_ranks(*folder, 2, {"job.yaml", "--dry-run"});
  EXPECT_TRUE(ended(ranks, 0));
  EXPECT_EQ(ranks.out, look({"--dry-run"}).out);
}

TEST_F(Plan, ManifestSaysWhatWasDone) {
  const auto manifest = nlohmann::json::parse(file_bytes(*folder / "out/manifest.json"));
  EXPECT_EQ(manifest.at("complete"), true);
  EXPECT_TRUE(manifest.at("failures").empty());
  EXPECT_EQ(manifest.at("tasks").size(), 62u);
  EXPECT_EQ(manifest.at("job").at("stages").at(1).at("interpolation").at("samples"), 70) << "defaults are written out";
}

TEST(Stages, AllAreListedWithOptionsRangesAndDefaults) {
  TempFolder folder;
  const auto all = run_perfpipe(folder, {"stages"});
  EXPECT_TRUE(ended(all, 0));
  std::istringstream list(file_bytes(fs::path(PERFPIPE_SOURCE_DIR) / "stages/CMakeLists.txt"));
  std::string word;
  while (list >> word && word != "set(PERFPIPE_STAGES") {
  }
  int stages = 0;
  while (list >> word) {
    const bool last = word.ends_with(')');
    if (last) word.pop_back();
    EXPECT_TRUE(has_line(lines_of(all.out), {word + "  ("})) << word << " is not listed";
    ++stages;
    if (last) break;
  }
  EXPECT_GE(stages, 12);

  // Each option's line has its range, the next its default.
  const auto lines = lines_of(all.out);
  const auto expect_option = [&](const std::vector<std::string>& first, const std::vector<std::string>& second) {
    for (std::size_t i = 0; i + 1 < lines.size(); ++i)
      if (has_line({lines[i]}, first) && has_line({lines[i + 1]}, second)) return;
    ADD_FAILURE() << testing::PrintToString(first) << " then " << testing::PrintToString(second) << "\nnot in\n"
                  << all.out;
  };
  expect_option({"threshold: number (0, 1)"}, {"default 0.1."});
  expect_option({"samples: integer [10, 2000]"}, {"default 70."});
  expect_option({"dt: number [0.1, 10] s"}, {"default 1.0."});
  expect_option({"mask: one of auto, file, compute, none"}, {"default \"auto\"."});
  expect_option({"epochs: integer [1, 10000]"}, {"default 10."});
  expect_option({"compress: true or false"}, {"default true."});
  int options = 0, defaults = 0;
  for (const auto& line : lines) {
    options += line.starts_with("    ") && !line.starts_with("     ");
    defaults += line.starts_with("        default ");
  }
  EXPECT_EQ(options, defaults) << "every option has a default and a meaning";

  const auto one = run_perfpipe(folder, {"stages", "masking"});
  EXPECT_TRUE(ended(one, 0));
  EXPECT_NE(one.out.find("cbf_below"), std::string::npos);
  EXPECT_EQ(one.out.find("hematocrit_factor"), std::string::npos);
}

}  // namespace
}  // namespace perfpipe
