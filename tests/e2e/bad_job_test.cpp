// Job files and command lines that are wrong: exit code 2, every finding at once with its place, nothing created.
#include "tests/e2e/job_files.hpp"

#include <sys/stat.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

class BadJob : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TempFolder>();
    write_small_cohort(*folder);
  }
  static void TearDownTestSuite() { folder.reset(); }

  void TearDown() override {
    EXPECT_FALSE(fs::exists(*folder / "out")) << "a refused job has created its output";
    fs::remove_all(*folder / "out");
  }

  /// Runs a job of this text.
  static CommandResult run(const std::string& text, std::vector<std::string> arguments = {}) {
    folder->write("job.yaml", text);
    arguments.insert(arguments.begin(), "job.yaml");
    return run_perfpipe(*folder, arguments);
  }
  /// The head of a job that is right, for stages of the test.
  static std::string stages(const std::string& list) { return "output: out\ncohort: cohort\nstages:\n" + list; }

  static std::unique_ptr<TempFolder> folder;
};
std::unique_ptr<TempFolder> BadJob::folder;

// ---- Command line. ----

TEST_F(BadJob, NoArgumentsSayWhatIsNeeded) {
  EXPECT_TRUE(ended(run_perfpipe(*folder, {}), 2, {"no job file", "configs/cv.yaml", "--help"}));
}

TEST_F(BadJob, CommandLineParserCodesBecomeTwo) {
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"--ouput", "x", "job.yaml"}), 2, {"--ouput"}));
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"job.yaml", "--output"}), 2, {"--output"}));
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"one.yaml", "two.yaml"}), 2, {"two.yaml"}));
}

TEST_F(BadJob, HelpAndVersionAreNoErrors) {
  const auto help = run_perfpipe(*folder, {"--help"});
  EXPECT_TRUE(ended(help, 0));
  for (const char* word : {"JOB", "--output", "--cohort", "--set", "--dry-run", "--explain", "stages"})
    EXPECT_NE(help.out.find(word), std::string::npos) << word;
  const auto version = run_perfpipe(*folder, {"--version"});
  EXPECT_TRUE(ended(version, 0));
  EXPECT_NE(version.out.find('.'), std::string::npos);
}

TEST_F(BadJob, UnknownStageToListIsNamedWithTheNearest) {
  EXPECT_TRUE(
      ended(run_perfpipe(*folder, {"stages", "trainig"}), 2, {"trainig", "did you mean 'training'?", "import"}));
}

TEST_F(BadJob, SettingsThatMeanNothing) {
  EXPECT_TRUE(ended(run(maps_job, {"--set", "aif"}), 2, {"--set aif", "KEY=VALUE"}));
  EXPECT_TRUE(ended(run(maps_job, {"--set", "=1"}), 2, {"--set =1", "KEY=VALUE"}));
  EXPECT_TRUE(ended(run(maps_job, {"--set", "aif..method=file"}), 2, {"--set aif..method=file", "empty part"}));
  EXPECT_TRUE(ended(run(maps_job, {"--set", "interpolaton.dt=1"}), 2,
                    {"'interpolaton'", "did you mean 'interpolation'?", "bsvd_targets"}));
  EXPECT_TRUE(ended(run(maps_job, {"--set", "aif.methd=file"}), 2,
                    {"--set aif.methd=file", "unknown key 'methd'", "did you mean 'method'?"}));
  EXPECT_TRUE(ended(run(maps_job, {"--set", "bsvd_targets.threshold=1.4"}), 2,
                    {"--set bsvd_targets.threshold=1.4", "1.4", "(0, 1)"}));
  EXPECT_TRUE(ended(run(maps_job, {"--set", "aif.method=[file"}), 2, {"--set aif.method=[file"}));
}

TEST_F(BadJob, SettingsAndJobFileAreToldAtOnce) {
  const auto result =
      run(maps_job + std::string("sed: 1\n"), {"--set", "a.b=1", "--set", "aif", "--set", "export.compress=2"});
  EXPECT_TRUE(ended(result, 2, {"--set a.b=1", "'a'"}));
  EXPECT_TRUE(says(result, {"--set aif: ", "KEY=VALUE"}));
  EXPECT_TRUE(says(result, {"--set export.compress=2", "true or false"}));
  EXPECT_TRUE(says(result, {"job.yaml:9:6", "'sed'", "did you mean 'seed'?"}));
}

TEST_F(BadJob, PathsOnTheCommandLineMustBeUtf8) {
  EXPECT_TRUE(ended(run(maps_job, {"--output", "caf\xe9"}), 2, {"--output", "UTF-8", "rename"}));
  EXPECT_TRUE(ended(run(maps_job, {"--cohort", "caf\xe9"}), 2, {"--cohort", "UTF-8", "rename"}));
  EXPECT_FALSE(fs::exists(*folder / "caf\xe9"));
}

TEST_F(BadJob, SrunWithoutMpiIsAnErrorOfCommunication) {
  folder->write("job.yaml", maps_job);
  auto options = options_in(*folder);
  options.environment["SLURM_STEP_NUM_TASKS"] = "2";
  options.environment["SLURM_PROCID"] = "0";
  EXPECT_TRUE(ended(run_command(perfpipe_words({"job.yaml"}), options), 5, {"srun", "2 tasks", "srun --mpi=pmix"}));
}

// ---- The file itself. ----

TEST_F(BadJob, FileThatIsNotThereOrNotAFile) {
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"missing.yaml"}), 2, {"missing.yaml", "does not exist"}));
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"cohort"}), 2, {"cohort", "not a regular file"}));
  ASSERT_EQ(::mkfifo((*folder / "fifo.yaml").c_str(), 0600), 0);
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"fifo.yaml"}, 20.0), 2, {"fifo.yaml", "not a regular file"}));
  fs::create_symlink("nowhere", *folder / "dangling.yaml");
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"dangling.yaml"}), 2, {"dangling.yaml", "does not exist"}));
}

TEST_F(BadJob, FileThatMayNotBeRead) {
  const auto file = folder->write("secret.yaml", maps_job);
  fs::permissions(*folder / ".", fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  fs::permissions(file, fs::perms::none);
  auto options = options_in(*folder);
  options.as_nobody = true;
  EXPECT_TRUE(ended(run_command(perfpipe_words({"secret.yaml"}), options), 2, {"secret.yaml", "Permission denied"}));
}

TEST_F(BadJob, FileThatIsNoUtf8Text) {
  EXPECT_TRUE(ended(run(std::string("output: out\n\0", 13)), 2, {"job.yaml", "UTF-8"}));
  EXPECT_TRUE(ended(run("output: out\ncohort: caf\xe9\nstages: [import]\n"), 2, {"job.yaml:2:", "UTF-8"}));
  std::string utf16 = "\xff\xfe";
  for (const char c : std::string(maps_job)) utf16 += {c, '\0'};
  EXPECT_TRUE(ended(run(utf16), 2, {"job.yaml", "UTF-8"}));
}

TEST_F(BadJob, ByteOrderMarkAndCarriageReturnsAreFine) {
  std::string text = "\xEF\xBB\xBF";
  for (const char c : std::string(maps_job)) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_TRUE(ended(run(text, {"--dry-run"}), 0));
}

TEST_F(BadJob, EmptyFileAndFilesThatAreNoMap) {
  EXPECT_TRUE(ended(run(""), 2, {"job.yaml:1:1", "output", "cohort", "stages"}));
  EXPECT_TRUE(ended(run("# nothing\n"), 2, {"job.yaml:1:1", "output", "cohort", "stages"}));
  EXPECT_TRUE(ended(run("- import\n"), 2, {"job.yaml:1:1", "output", "cohort", "stages"}));
}

TEST_F(BadJob, TooLargeTooDeepTooManyAliases) {
  EXPECT_TRUE(ended(run(maps_job + std::string(1 << 20, '#') + "\n"), 2, {"job.yaml", "1048576"}));
  const std::string deep = "output: " + std::string(40, '[') + std::string(40, ']') + "\n";
  EXPECT_TRUE(ended(run(deep), 2, {"job.yaml:1:", "32 levels"}));
  std::string bomb = "a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 9; ++k) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_TRUE(ended(run(bomb), 2, {"job.yaml:", "aliases", "1 MiB"}));
}

TEST_F(BadJob, YamlThatInvitesMistakesIsRefusedWithItsPlace) {
  EXPECT_TRUE(ended(run("output: out\ncohort: [a\nstages: b\n"), 2, {"job.yaml:", "YAML"}));
  EXPECT_TRUE(ended(run("output: !!str out\ncohort: cohort\nstages: [import]\n"), 2, {"job.yaml:1:9", "tag"}));
  EXPECT_TRUE(
      ended(run("output: out\ncohort: !folder cohort\nstages: [import]\n"), 2, {"job.yaml:2:9", "tag", "plain value"}));
  EXPECT_TRUE(ended(run("x: &x {path: cohort}\noutput: out\ncohort:\n  <<: *x\nstages: [import]\n"), 2,
                    {"job.yaml:4:3", "merge keys"}));
  EXPECT_TRUE(ended(run(std::string(maps_job) + "---\noutput: other\n"), 2, {"job.yaml:", "second YAML document"}));
  EXPECT_TRUE(ended(run("output: out\ncohort: cohort\noutput: other\nstages: [import]\n"), 2,
                    {"job.yaml:3:1", "'output'", "twice", "job.yaml:1:9"}));
  EXPECT_TRUE(
      ended(run("output: out\ncohort:\n\tpath: cohort\nstages: [import]\n"), 2, {"job.yaml:3:1", "tab", "spaces"}));
}

// ---- Keys and values. ----

TEST_F(BadJob, AllMissingKeysAreToldAtOnce) {
  const auto result = run("seed: 1\n");
  EXPECT_TRUE(ended(result, 2, {"'output' is missing"}));
  EXPECT_TRUE(says(result, {"'cohort' is missing"}));
  EXPECT_TRUE(says(result, {"'stages'", "at least one stage"}));
  EXPECT_TRUE(
      ended(run("output: out\ncohort: cohort\nstages: []\n"), 2, {"job.yaml:3:9", "'stages'", "at least one stage"}));
  EXPECT_TRUE(ended(run("output: out\ncohort: cohort\nstages: import\n"), 2, {"job.yaml:3:9", "'stages'", "list"}));
}

TEST_F(BadJob, EveryFindingOfAJobIsToldAtOnceWithItsPlace) {
  const auto result =
      run("output: out\n"
          "seeds: 7\n"
          "cohort: {path: cohort, echo_time: 30, on_eror: skip}\n"
          "stages:\n"
          "  - import: {mask: automatic}\n"
          "  - interpolation: {dt: 0, samples: 70.5}\n"
          "  - aif: {metod: file}\n"
          "  - bsvd_targets: {threshold: 1.4, density: nan, hematocrit_factor: 1e999}\n"
          "  - trainig\n"
          "parallel: {threads: 0, deterministic: yes}\n");
  EXPECT_TRUE(ended(result, 2, {"job.yaml:2:8", "'seeds'", "did you mean 'seed'?"}));
  EXPECT_TRUE(says(result, {"job.yaml:3:35", "cohort.echo_time = 30", "0.001 to 0.2 s", "milliseconds"}));
  EXPECT_TRUE(says(result, {"job.yaml:3:48", "'on_eror'", "did you mean 'on_error'?"}));
  EXPECT_TRUE(says(result, {"job.yaml:5:20", "stages[0].import.mask = automatic", "auto, file, compute, none"}));
  EXPECT_TRUE(says(result, {"job.yaml:6:25", "stages[1].interpolation.dt = 0", "[0.1, 10]"}));
  EXPECT_TRUE(says(result, {"job.yaml:6:37", "stages[1].interpolation.samples = 70.5", "whole number", "[10, 2000]"}));
  EXPECT_TRUE(says(result, {"job.yaml:7:18", "'metod'", "did you mean 'method'?"}));
  EXPECT_TRUE(says(result, {"job.yaml:8:31", "threshold = 1.4", "(0, 1)"}));
  EXPECT_TRUE(says(result, {"job.yaml:8:45", "density = nan", "[0.5, 2]"}));
  EXPECT_TRUE(says(result, {"job.yaml:8:69", "hematocrit_factor = 1e999", "[0.1, 2]"}));
  EXPECT_TRUE(says(result, {"job.yaml:9:5", "'trainig'", "did you mean 'training'?"}));
  EXPECT_TRUE(says(result, {"job.yaml:10:21", "parallel.threads = 0", "[1, 1024]"}));
  EXPECT_TRUE(says(result, {"job.yaml:10:39", "parallel.deterministic = yes", "true or false"}));
}

TEST_F(BadJob, SeedsHaveARange) {
  for (const char* seed : {"-1", "9223372036854775808", "1.5", "\"7\"", "0x10", "[1]", "1e3", ""})
    EXPECT_TRUE(ended(run(std::string(maps_job) + "seed: " + seed + "\n"), 2, {"job.yaml:9:", "seed", "[0, 2^63-1]"}))
        << seed;
  EXPECT_TRUE(ended(run(std::string(maps_job) + "seed: 9223372036854775807\n", {"--dry-run"}), 0));
}

TEST_F(BadJob, ValuesOfTheWrongKind) {
  const auto result =
      run("output: {a: b}\n"
          "cohort: [cohort]\n"
          "stages:\n"
          "  - import: 5\n"
          "  - {interpolation: {}, aif: {}}\n"
          "  - [aif]\n"
          "  - bsvd_targets: {threshold: \"0.1\"}\n"
          "  - export: {compress: 1}\n"
          "parallel: fast\n");
  EXPECT_TRUE(ended(result, 2, {"job.yaml:1:9", "output = a map of 1 keys", "text"}));
  EXPECT_TRUE(says(result, {"job.yaml:2:9", "cohort = a list of 1", "cohort: {path: PATH}"}));
  EXPECT_TRUE(says(result, {"job.yaml:4:13", "stages[0].import = 5", "map of options"}));
  EXPECT_TRUE(says(result, {"job.yaml:5:5", "stages[1]", "- aif: {method: file}"}));
  EXPECT_TRUE(says(result, {"job.yaml:6:5", "stages[2]", "- aif: {method: file}"}));
  EXPECT_TRUE(says(result, {"job.yaml:7:31", "threshold = \"0.1\"", "number in (0, 1)"}));
  EXPECT_TRUE(says(result, {"job.yaml:8:24", "compress = 1", "true or false"}));
  EXPECT_TRUE(says(result, {"job.yaml:9:11", "parallel = fast", "{threads: auto}"}));
}

TEST_F(BadJob, PatientsAndOverridesAreChecked) {
  const auto result =
      run("output: out\n"
          "cohort:\n"
          "  path: cohort\n"
          "  repetition_time: 1500\n"
          "  modality: mri\n"
          "  patients:\n"
          "    sub-01: {baseline: 0, kind: signals}\n"
          "    '01': {}\n"
          "    sub-02: {echo_tim: 0.03}\n"
          "    sub-03: 7\n"
          "stages: [import]\n");
  EXPECT_TRUE(ended(result, 2, {"job.yaml:4:20", "cohort.repetition_time = 1500", "0.1 to 10 s", "milliseconds"}));
  EXPECT_TRUE(says(result, {"job.yaml:5:13", "cohort.modality = mri", "mr, ct"}));
  EXPECT_TRUE(says(result, {"job.yaml:7:24", "baseline = 0", "[1, 1000]"}));
  EXPECT_TRUE(says(result, {"job.yaml:7:33", "kind = signals", "did you mean 'signal'?"}));
  EXPECT_TRUE(says(result, {"job.yaml:8:", "\"01\"", "listed twice"}));
  EXPECT_TRUE(says(result, {"job.yaml:9:24", "'echo_tim'", "did you mean 'echo_time'?"}));
  EXPECT_TRUE(says(result, {"job.yaml:10:13", "cohort.patients.sub-03 = 7", "repetition_time"}));
}

TEST_F(BadJob, PatientsThatTheCohortDoesNotHave) {
  const auto result = run("output: out\ncohort: {path: cohort, patients: [sub-01, sub-07]}\nstages: [import]\n");
  EXPECT_TRUE(says(result, {"job.yaml:2:", "\"sub-07\"", "sub-01, sub-02, sub-03"}));
  EXPECT_EQ(result.code, 2);
}

TEST_F(BadJob, UnknownParameterNamesInMapsAndLists) {
  const auto result =
      run(stages("  - import\n  - binning: {samples: {cbf: 100, mmt: 100}}\n  - training: {parameters: [cbf, cbf], "
                 "learning_rate: {tmax: 0}}\n"));
  EXPECT_TRUE(ended(result, 2, {"job.yaml:5:", "'mmt'", "did you mean 'mtt'?"}));
  EXPECT_TRUE(says(result, {"job.yaml:6:", "cbf", "listed twice"}));
  EXPECT_TRUE(says(result, {"job.yaml:6:", "learning_rate.tmax = 0", "(0, 10]"}));
  EXPECT_TRUE(
      ended(run(stages("  - training: {parameters: []}\n")), 2, {"job.yaml:4:", "parameters", "cbf, cbv, mtt, tmax"}));
}

// ---- Stages that do not fit together. ----

TEST_F(BadJob, StageThatReadsWhatNothingWrites) {
  const auto result = run(stages("  - aif\n  - interpolation\n"));
  EXPECT_TRUE(ended(result, 2, {"job.yaml:4:5", "'aif'", "'tissue_curves'", "interpolation"}));
  EXPECT_TRUE(says(result, {"job.yaml:5:5", "'interpolation'", "'concentration'", "import"}));
  EXPECT_TRUE(ended(run(stages("  - import\n  - interpolation\n  - aif\n  - inference\n")), 2,
                    {"job.yaml:7:5", "'inference'", "'network'", "training"}));
}

TEST_F(BadJob, ExportWithoutMapsIsAnErrorOfThePlan) {
  EXPECT_TRUE(ended(run(stages("  - import\n  - export\n")), 2, {"job.yaml:5:5", "'export'", "bsvd_targets"}));
}

TEST_F(BadJob, SameStageTwiceNeedsAName) {
  EXPECT_TRUE(ended(
      run(stages("  - import\n  - interpolation\n  - aif\n  - bsvd_targets\n  - bsvd_targets: {threshold: 0.2}\n")), 2,
      {"job.yaml:8:5", "'bsvd_targets'", "job.yaml:7:5", "`as:`"}));
  EXPECT_TRUE(ended(run(stages("  - import\n  - import: {as: import}\n")), 2, {"job.yaml:5:5", "'import'", "`as:`"}));
  EXPECT_TRUE(ended(run(stages("  - import: {as: ../import}\n")), 2,
                    {"job.yaml:4:18", "as = ../import", "letters, digits and _"}));
  EXPECT_TRUE(ended(run(stages("  - import\n  - interpolation\n  - aif\n  - bsvd_targets\n  - bsvd_targets: {as: "
                               "other, threshold: 0.2}\n"),
                        {"--dry-run"}),
                    0));
}

TEST_F(BadJob, NetworksNeedSeventySamples) {
  EXPECT_TRUE(ended(run(cross_validation_job, {"--set", "interpolation.samples=161"}), 2,
                    {"'tissue_curves'", "70", "161", "interpolation.samples=70"}));
}

TEST_F(BadJob, TargetsOfAStageThatIsNotThere) {
  EXPECT_TRUE(ended(run(cross_validation_job, {"--set", "training.targets=tikhonov"}), 2,
                    {"'training'", "'tikhonov'", "bsvd_targets"}));
}

TEST_F(BadJob, PhantomIsAJobOfItsOwn) {
  const auto result =
      run("output: out\ncohort: cohort\nstages:\n  - phantom: {snr_low: 20, snr_high: 10, patients: 0}\n  - import\n");
  EXPECT_TRUE(ended(result, 2, {"job.yaml:2:9", "phantom", "remove"}));
  EXPECT_TRUE(says(result, {"job.yaml:5:5", "phantom"}));
  EXPECT_TRUE(says(result, {"job.yaml:4:", "snr_low", "20", "10"}));
  EXPECT_TRUE(says(result, {"job.yaml:4:", "patients = 0", "[1, 999]"}));
}

// ---- Folders. ----

TEST_F(BadJob, CohortThatDoesNotExist) {
  EXPECT_TRUE(ended(run("output: out\ncohort: cohrt\nstages: [import]\n"), 2,
                    {"job.yaml:2:9", "cohort", "cohrt", "no such folder"}));
  EXPECT_TRUE(ended(run("output: out\ncohort:\n  path: gone\nstages: [import]\n"), 2,
                    {"job.yaml:3:9", "gone", "no such folder"}));
  EXPECT_TRUE(ended(run(maps_job, {"--cohort", "nowhere"}), 2, {"--cohort", "nowhere", "no such folder"}));
}

TEST_F(BadJob, OutputEqualToInsideOrAboveTheCohort) {
  fs::create_directory_symlink("cohort", *folder / "link");
  for (const char* output : {"cohort", "cohort/out", "cohort/sub-01/../out", ".", "link/out", "./cohort/"})
    EXPECT_TRUE(ended(run("output: " + std::string(output) + "\ncohort: cohort\nstages: [import]\n"), 2,
                      {"job.yaml:1:9", "output", output, "cohort", "beside"}))
        << output;
  EXPECT_TRUE(ended(run(maps_job, {"--output", "cohort/deep/out"}), 2, {"--output", "cohort/deep/out", "beside"}));
  EXPECT_FALSE(fs::exists(*folder / "cohort" / "out"));
  EXPECT_FALSE(fs::exists(*folder / "cohort" / "deep"));
  EXPECT_FALSE(fs::exists(*folder / "store"));
}

TEST_F(BadJob, TooFewSubjectsForLeavingOneOut) {
  const auto result = run(cross_validation_job, {"--set", "cohort.patients=[sub-01, sub-02]"});
  EXPECT_TRUE(says(result, {"2 subject(s)", "at least 3"}));
  EXPECT_EQ(result.code, 3);  // the job is right, the cohort is too small for it
}

TEST_F(BadJob, ErrorsAreToldOnceUnderMpirunAndEndAllRanks) {
  folder->write("job.yaml", "output: out\ncohort: cohort\nstages: [trainig]\n");
  const auto result = run_ranks(*folder, 3, {"job.yaml"}, 30.0);
  EXPECT_TRUE(ended(result, 2, {"job.yaml:3:10", "did you mean 'training'?"}));
  EXPECT_NE(lines_of(result.err).back().find("'trainig'"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace perfpipe
