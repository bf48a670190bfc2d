// `--set KEY=VALUE` on the tree of a job file.
#include "core/config.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

const char* const job_text =
    "output: runs/x\n"
    "cohort: data\n"
    "stages:\n"
    "  - import\n"
    "  - aif: {method: file}\n"
    "  - bsvd_targets: {as: tikhonov, threshold: 0.2}\n"
    "  - bsvd_targets: {threshold: 0.1}\n"
    "  - inference:\n";

ConfigNode overridden(const std::string& assignment) {
  ConfigNode root = parse_config(job_text, "job.yaml");
  apply_override(root, assignment);
  return root;
}

const ConfigNode& options_of(const ConfigNode& root, std::size_t stage) {
  return root.find("stages")->items.at(stage).entries.at(0).second;
}

std::string refusal(const std::string& assignment) {
  try {
    overridden(assignment);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Override, SetsAnOptionOfAStageByItsType) {
  const auto root = overridden("aif.method=mouridsen");
  const ConfigNode* const method = options_of(root, 1).find("method");
  EXPECT_EQ(method->text, "mouridsen");
  EXPECT_EQ(method->where, "--set aif.method=mouridsen") << "errors in it name the command line";
  EXPECT_EQ(method->path, "stages[1].aif.method");
}

TEST(Override, SetsAnOptionOfAStageByItsOwnName) {
  const auto root = overridden("tikhonov.threshold=0.3");
  EXPECT_EQ(options_of(root, 2).find("threshold")->text, "0.3");
  EXPECT_EQ(options_of(root, 3).find("threshold")->text, "0.1");
  const auto other = overridden("bsvd_targets.threshold=0.4");
  EXPECT_EQ(options_of(other, 2).find("threshold")->text, "0.2")
      << "a stage with a name of its own is meant by it alone";
  EXPECT_EQ(options_of(other, 3).find("threshold")->text, "0.4");
}

TEST(Override, SetsAnOptionOfAStageThatStandsThereBare) {
  const auto bare = overridden("import.mask=none");
  EXPECT_EQ(options_of(bare, 0).find("mask")->text, "none");
  EXPECT_EQ(options_of(bare, 0).find("mask")->path, "stages[0].import.mask");
  EXPECT_EQ(options_of(overridden("inference.weights=w"), 4).find("weights")->text, "w");
}

TEST(Override, SetsTopLevelKeysThatAreThereOrNot) {
  EXPECT_EQ(overridden("output=elsewhere").find("output")->text, "elsewhere");
  EXPECT_EQ(overridden("seed=3").find("seed")->text, "3");
  const auto root = overridden("parallel.threads=2");
  EXPECT_EQ(root.find("parallel")->find("threads")->text, "2");
  EXPECT_EQ(root.find("parallel")->find("threads")->path, "parallel.threads");
}

TEST(Override, KeepsThePathOfTheShortFormOfACohort) {
  const auto root = overridden("cohort.on_error=skip");
  EXPECT_EQ(root.find("cohort")->find("path")->text, "data");
  EXPECT_EQ(root.find("cohort")->find("path")->path, "cohort.path");
  EXPECT_EQ(root.find("cohort")->find("on_error")->text, "skip");
  EXPECT_EQ(overridden("cohort.path=other").find("cohort")->find("path")->text, "other");
  const auto deep = overridden("cohort.patients.sub-01.mask=m.nii");
  EXPECT_EQ(deep.find("cohort")->find("patients")->find("sub-01")->find("mask")->text, "m.nii");
}

TEST(Override, ParsesItsValueAsYaml) {
  const auto root = overridden("cohort={path: a, patients: [x, y]}");
  EXPECT_EQ(root.find("cohort")->find("patients")->items.at(1).path, "cohort.patients[1]");
  EXPECT_EQ(options_of(overridden("aif.method=a=b"), 1).find("method")->text, "a=b");
  EXPECT_EQ(options_of(overridden("aif.method="), 1).find("method")->kind, ConfigNode::Kind::null);
  EXPECT_NE(refusal("aif.method={a: 1, a: 2}").find("stands twice"), std::string::npos);
}

TEST(Override, RefusesWhatItCannotPlace) {
  EXPECT_EQ(refusal("afi.method=x"),
            "--set afi.method=x: 'afi' is neither a stage of this job nor a key of the job file (did you mean 'aif'?); "
            "there are: import, aif, tikhonov, bsvd_targets, inference, output, seed, cohort, stages, parallel");
  EXPECT_NE(refusal("output.x=1").find("'output' is not a map, so 'x' cannot be set in it"), std::string::npos);
  EXPECT_NE(refusal("stages.0=1").find("'stages' is not a map"), std::string::npos);
  for (const char* text : {"aif", "=3", ""})
    EXPECT_NE(refusal(text).find("expected KEY=VALUE, for example aif.method=file"), std::string::npos) << text;
  for (const char* text : {"aif..method=1", ".aif=1", "aif.=1", ".=1"})
    EXPECT_NE(refusal(text).find("the key has an empty part"), std::string::npos) << text;
}

}  // namespace
}  // namespace perfpipe
