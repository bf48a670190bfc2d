#include "pipeline/plan.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

const std::string cross_validation =
    "output: out\ncohort: data\nstages: [import, interpolation, aif, bsvd_targets, binning, training, inference, "
    "masking, "
    "evaluation, export, report]\n";

Job job_of(const std::string& text, const std::vector<std::string>& settings = {}) {
  JobOverrides overrides;
  overrides.settings = settings;
  return parse_job(text, "job.yaml", overrides);
}

/// Series by name; "sub-02_ses-1" is a session of sub-02.
Cohort cohort_of(const std::vector<std::string>& names) {
  Cohort cohort;
  cohort.layout = "bids";
  for (const auto& name : names) {
    Series series;
    series.name = name;
    series.subject = name.substr(0, name.find('_'));
    if (name != series.subject) series.session = name.substr(name.find('_') + 1);
    series.image = "data/" + name + "_dsc.nii.gz";
    series.truth[0] = "data/" + name + "_desc-truth_cbf.nii.gz";
    series.times = {0.0, 1.0};
    series.echo_time = 0.03;
    cohort.series.push_back(series);
  }
  return cohort;
}

FileHashes hashes_of(const Job& job, const Cohort& cohort) {
  FileHashes hashes;
  for (const auto& file : external_files(job, cohort)) hashes[file.string()] = "hash of " + file.string();
  return hashes;
}

std::vector<PlannedTask> plan_of(const Job& job, const Cohort& cohort) {
  return make_plan(job, cohort, hashes_of(job, cohort));
}

const PlannedTask& task(const std::vector<PlannedTask>& plan, const std::string& id) {
  const auto found = std::find_if(plan.begin(), plan.end(), [&](const auto& t) { return t.info.id() == id; });
  if (found == plan.end()) throw std::runtime_error("no task " + id);
  return *found;
}

/// All tasks that a task's result derives from.
std::set<int> ancestors(const std::vector<PlannedTask>& plan, const PlannedTask& of) {
  std::set<int> all;
  std::vector<int> open;
  for (const auto& input : of.inputs) open.push_back(input.task);
  while (!open.empty()) {
    const int next = open.back();
    open.pop_back();
    if (!all.insert(next).second) continue;
    for (const auto& input : plan[static_cast<std::size_t>(next)].inputs) open.push_back(input.task);
  }
  return all;
}

std::set<std::string> inputs_of(const std::vector<PlannedTask>& plan, const std::string& id, const std::string& port) {
  std::set<std::string> ids;
  for (const auto& input : task(plan, id).inputs)
    if (input.port == port) ids.insert(plan[static_cast<std::size_t>(input.task)].info.id());
  return ids;
}

const std::vector<std::string> five{"sub-01", "sub-02_ses-1", "sub-02_ses-2", "sub-03", "sub-04"};

TEST(Plan, InputsComeBeforeWhatReadsThem) {
  const auto plan = plan_of(job_of(cross_validation), cohort_of(five));
  for (std::size_t i = 0; i < plan.size(); ++i)
    for (const auto& input : plan[i].inputs) EXPECT_LT(input.task, static_cast<int>(i));
  // 7 patient stages of 5 series, 2 fold stages of 4 subjects and 4 parameters, 2 cohort stages.
  EXPECT_EQ(plan.size(), 7u * 5u + 2u * 4u * 4u + 2u);
}

TEST(Leakage, NoFoldDerivesFromItsHeldOutSubject) {
  const auto cohort = cohort_of(five);
  const auto plan = plan_of(job_of(cross_validation), cohort);
  int folds = 0;
  for (const auto& planned : plan) {
    if (planned.info.scope != Scope::fold) continue;
    ++folds;
    std::set<std::string> subjects;
    for (int i : ancestors(plan, planned)) {
      const auto& info = plan[static_cast<std::size_t>(i)].info;
      EXPECT_NE(info.scope, Scope::cohort) << planned.info.id() << " reads " << info.id();
      if (info.scope == Scope::patient) subjects.insert(info.subject);
      if (info.scope == Scope::fold) {
        EXPECT_EQ(info.held_out, planned.info.held_out);
      }
    }
    EXPECT_FALSE(subjects.contains(planned.info.held_out)) << planned.info.id();
    EXPECT_EQ(subjects.size(), 3u) << planned.info.id() << " learns from all the others";
    EXPECT_TRUE(planned.files.empty()) << "nor does it read a file beside the store: truth is for the evaluation";
  }
  EXPECT_EQ(folds, 2 * 4 * 4);
}

TEST(Leakage, BothSessionsOfASubjectAreHeldOut) {
  const auto plan = plan_of(job_of(cross_validation), cohort_of(five));
  EXPECT_EQ(inputs_of(plan, "training/fold-sub-02_cbf", "tissue_curves"),
            (std::set<std::string>{"interpolation/sub-01", "interpolation/sub-03", "interpolation/sub-04"}));
  EXPECT_EQ(inputs_of(plan, "binning/fold-sub-01_mtt", "mtt"),
            (std::set<std::string>{"bsvd_targets/sub-02_ses-1", "bsvd_targets/sub-02_ses-2", "bsvd_targets/sub-03",
                                   "bsvd_targets/sub-04"}));
}

TEST(Leakage, APatientsMapsComeFromTheFoldsThatHoldItOut) {
  const auto plan = plan_of(job_of(cross_validation), cohort_of(five));
  for (const auto& name : five) {
    const auto subject = name.substr(0, name.find('_'));
    std::set<std::string> expected;
    for (const char* parameter : {"cbf", "cbv", "mtt", "tmax"})
      expected.insert("training/fold-" + subject + "_" + parameter);
    EXPECT_EQ(inputs_of(plan, "inference/" + name, "network"), expected);
  }
  EXPECT_EQ(inputs_of(plan, "training/fold-sub-03_cbv", "training_draws"),
            std::set<std::string>{"binning/fold-sub-03_cbv"});
}

TEST(Leakage, ThroughTheMapsOfOtherNetworksIsRefused) {
  // sub-02's network maps come from a network that saw sub-01: to learn from them in sub-01's fold would leak.
  const std::string stages =
      "output: out\ncohort: data\nstages:\n  - import\n  - interpolation\n  - aif\n  - bsvd_targets\n  - binning\n  - "
      "training\n"
      "  - inference\n";
  const auto cohort = cohort_of(five);
  try {
    plan_of(job_of(stages + "  - binning: {as: again}\n"), cohort);
    FAIL() << "the plan was made";
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find(
                  "job.yaml:11:5: leakage: again/fold-sub-01_cbf holds out sub-01, but reads 'cbf' of inference/sub-0"),
              0u)
        << message;
  }
  EXPECT_NO_THROW(plan_of(job_of(stages + "  - binning: {as: again, targets: bsvd_targets}\n"), cohort));
}

TEST(Plan, OnlyTheNamedParametersAreTrained) {
  const auto plan = plan_of(job_of(cross_validation, {"training.parameters=[cbf, tmax]"}), cohort_of(five));
  EXPECT_EQ(std::count_if(plan.begin(), plan.end(), [](const auto& t) { return t.info.stage == "training"; }), 8);
  EXPECT_EQ(inputs_of(plan, "inference/sub-01", "network"),
            (std::set<std::string>{"training/fold-sub-01_cbf", "training/fold-sub-01_tmax"}));
}

TEST(Plan, AReaderTakesTheLatestWriterTheNamedOneOrAll) {
  const std::string text =
      "output: out\ncohort: data\nstages: [import, interpolation, aif, bsvd_targets, bsvd_targets: {as: wide, "
      "threshold: 0.2}, "
      "binning: {targets: TARGETS}, export]\n";
  const auto with = [&](const std::string& targets) {
    std::string job = text;
    job.replace(job.find("TARGETS"), 7, targets);
    return plan_of(job_of(job), cohort_of({"sub-01", "sub-02", "sub-03"}));
  };
  EXPECT_EQ(inputs_of(with("bsvd_targets"), "binning/fold-sub-01_cbf", "cbf"),
            (std::set<std::string>{"bsvd_targets/sub-02", "bsvd_targets/sub-03"}));
  const auto plan = with("wide");
  EXPECT_EQ(inputs_of(plan, "binning/fold-sub-01_cbf", "cbf"), (std::set<std::string>{"wide/sub-02", "wide/sub-03"}));
  EXPECT_EQ(inputs_of(plan, "export/sub-01", "cbf"), (std::set<std::string>{"bsvd_targets/sub-01", "wide/sub-01"}));
}

TEST(Plan, ArtifactsLieByStageAndTask) {
  const auto plan = plan_of(job_of(cross_validation), cohort_of(five));
  EXPECT_EQ(artifact_path("out", task(plan, "aif/sub-02_ses-1").info), "out/store/aif/sub-02_ses-1.h5");
  EXPECT_EQ(artifact_path("out", task(plan, "training/fold-sub-03_tmax").info),
            "out/store/training/fold-sub-03_tmax.h5");
}

TEST(Plan, ExternalFilesAreEachListedOnce) {
  const auto cohort = cohort_of({"sub-01", "sub-02", "sub-03"});
  const auto files = external_files(job_of(cross_validation), cohort);
  EXPECT_EQ(files.size(), 6u) << "three series and three truth maps, read by several stages";
  EXPECT_TRUE(std::is_sorted(files.begin(), files.end()));
}

}  // namespace
}  // namespace perfpipe
