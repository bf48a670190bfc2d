// When the content key of a task changes, and when it does not.
#include "pipeline/plan.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

const std::string text =
    "output: out\ncohort: data\nstages: [import, interpolation, aif, bsvd_targets, binning, training, inference, "
    "masking, "
    "evaluation, export, report]\n";

struct Conditions {
  std::vector<std::string> settings;
  std::vector<std::string> subjects{"sub-01", "sub-02", "sub-03", "sub-04"};
  std::string folder = "data";
  std::map<std::string, std::string> other_hash;  ///< by file name
  std::map<std::string, double> echo_time;        ///< by subject
};

using Keys = std::map<std::string, std::string>;

Keys keys_of(const Conditions& changed) {
  JobOverrides overrides;
  overrides.settings = changed.settings;
  const Job job = parse_job(text, "job.yaml", overrides);
  Cohort cohort;
  for (const auto& name : changed.subjects) {
    Series series;
    series.name = series.subject = name;
    series.image = changed.folder + "/" + name + "_dsc.nii.gz";
    const auto echo_time = changed.echo_time.find(name);
    series.echo_time = echo_time == changed.echo_time.end() ? 0.03 : echo_time->second;
    cohort.series.push_back(series);
  }
  FileHashes hashes;
  for (const auto& file : external_files(job, cohort)) {
    const auto name = file.filename().string();
    const auto other = changed.other_hash.find(name);
    hashes[file.string()] = other == changed.other_hash.end() ? "hash of " + name : other->second;
  }
  Keys keys;
  for (const auto& task : make_plan(job, cohort, hashes)) keys[task.info.id()] = task.key;
  return keys;
}

/// The stages of which some task has another key, or a task that was not there.
std::set<std::string> changed_stages(const Conditions& changed) {
  const Keys before = keys_of({}), now = keys_of(changed);
  std::set<std::string> stages;
  for (const auto& [id, key] : now) {
    const auto known = before.find(id);
    if (known == before.end() || known->second != key) stages.insert(id.substr(0, id.find('/')));
  }
  return stages;
}

Conditions with(const std::string& setting) {
  Conditions changed;
  changed.settings = {setting};
  return changed;
}

using Stages = std::set<std::string>;
const Stages from_training{"training", "inference", "masking", "evaluation", "export", "report"};
const Stages from_targets{"bsvd_targets", "binning",    "training", "inference",
                          "masking",      "evaluation", "export",   "report"};
const Stages all{"import",    "interpolation", "aif",        "bsvd_targets", "binning", "training",
                 "inference", "masking",       "evaluation", "export",       "report"};

TEST(Keys, AreTheSameForTheSameJob) {
  EXPECT_EQ(keys_of({}), keys_of({}));
  const auto keys = keys_of({});
  std::set<std::string> distinct;
  for (const auto& [id, key] : keys) distinct.insert(key);
  EXPECT_EQ(distinct.size(), keys.size()) << "and every task has its own";
}

TEST(Keys, AnOptionChangesItsStageAndWhatReadsIt) {
  EXPECT_EQ(changed_stages(with("training.epochs=3")), from_training);
  EXPECT_EQ(changed_stages(with("bsvd_targets.threshold=0.2")), from_targets);
  EXPECT_EQ(changed_stages(with("import.mask=none")), all);
  EXPECT_EQ(changed_stages(with("masking.tmax_above=6")), (Stages{"masking", "evaluation", "export", "report"}));
  EXPECT_EQ(changed_stages(with("export.compress=false")), (Stages{"export", "report"}))
      << "the report shows the whole job";
  EXPECT_EQ(changed_stages(with("training.epochs=10")), Stages{}) << "the default, written down";
}

TEST(Keys, TheSeedChangesWhatIsDrawnAndWhatReadsIt) {
  Stages expected = from_training;
  expected.insert("binning");
  EXPECT_EQ(changed_stages(with("seed=2")), expected);
}

TEST(Keys, WhereAndHowFastChangeNoResult) {
  EXPECT_EQ(changed_stages(with("output=elsewhere")), Stages{});
  const auto threads = changed_stages(with("parallel.threads=7"));
  EXPECT_TRUE(threads.empty() || threads == Stages{"report"}) << "the report shows the whole job";
  Conditions moved;
  moved.folder = "other/place";
  EXPECT_EQ(changed_stages(moved), Stages{}) << "the same files in another folder";
}

TEST(Keys, AFilesContentChangesItsPatientAndTheOthersFolds) {
  const Keys before = keys_of({});
  Conditions changed;
  changed.other_hash["sub-02_dsc.nii.gz"] = "other bytes";
  const Keys now = keys_of(changed);
  for (const char* stage : {"import", "aif", "bsvd_targets"}) {
    EXPECT_NE(now.at(std::string(stage) + "/sub-02"), before.at(std::string(stage) + "/sub-02"));
    EXPECT_EQ(now.at(std::string(stage) + "/sub-01"), before.at(std::string(stage) + "/sub-01"));
  }
  EXPECT_EQ(now.at("training/fold-sub-02_cbf"), before.at("training/fold-sub-02_cbf")) << "that fold never saw sub-02";
  EXPECT_NE(now.at("training/fold-sub-01_cbf"), before.at("training/fold-sub-01_cbf"));
  EXPECT_NE(now.at("evaluation/cohort"), before.at("evaluation/cohort"));
}

TEST(Keys, AFactOfTheSidecarCountsLikeTheFile) {
  Conditions changed;
  changed.echo_time["sub-03"] = 0.025;
  const Keys before = keys_of({}), now = keys_of(changed);
  EXPECT_NE(now.at("import/sub-03"), before.at("import/sub-03"));
  EXPECT_EQ(now.at("import/sub-01"), before.at("import/sub-01"));
}

TEST(Keys, OneMorePatientChangesNoPatientsOwnTasks) {
  Conditions changed;
  changed.subjects.push_back("sub-05");
  const Keys before = keys_of({}), now = keys_of(changed);
  for (const auto& [id, key] : before) {
    const auto stage = id.substr(0, id.find('/'));
    const bool own = Stages{"import", "interpolation", "aif", "bsvd_targets"}.contains(stage);
    if (own) {
      EXPECT_EQ(now.at(id), key) << id;
    } else {
      EXPECT_NE(now.at(id), key) << id << " learns from one more";
    }
  }
}

TEST(Keys, TwoFilesOfOneNameBothCount) {
  // A mask that the job file names may be called as the series is.
  const Job job = parse_job("output: o\ncohort: data\nstages: [import]\n", "job.yaml", {});
  Cohort cohort;
  Series series;
  series.name = series.subject = "p1";
  series.image = "data/p1.nii";
  series.mask = "masks/p1.nii";
  cohort.series.push_back(series);
  const auto key = [&](const char* image, const char* mask) {
    return make_plan(job, cohort, {{"data/p1.nii", image}, {"masks/p1.nii", mask}}).at(0).key;
  };
  EXPECT_NE(key("a", "m"), key("b", "m"));
  EXPECT_NE(key("a", "m"), key("a", "n"));
}

/// A stage of the job as it is, but for where it computes.
class OnDevice final : public Stage {
 public:
  OnDevice(std::unique_ptr<Stage> stage, DeviceUse use) : stage_(std::move(stage)), use_(use) {}
  Ports ports() const override { return stage_->ports(); }
  nlohmann::ordered_json parameters() const override { return stage_->parameters(); }
  void run(StageContext& context) const override { stage_->run(context); }
  DeviceUse device_use() const override { return use_; }
  std::unique_ptr<Stage> release() { return std::move(stage_); }

 private:
  std::unique_ptr<Stage> stage_;
  DeviceUse use_;
};

TEST(Keys, TheDevicesKindCountsWhereItsBitsDifferAndNowhereElse) {
  Cohort cohort;
  Series series;
  series.name = series.subject = "p1";
  series.image = "data/p1.nii";
  cohort.series.push_back(series);
  Job job =
      parse_job("output: o\ncohort: data\nstages: [import, interpolation, aif, bsvd_targets, masking]\n", "j", {});
  const auto before = make_plan(job, cohort, {});
  auto& second = job.stages.at(1).stage;
  second = std::make_unique<OnDevice>(std::move(second), DeviceUse::same_bits);
  const auto gpu = [](const char* kind) { return Device{true, 0, kind, "exact"}; };
  EXPECT_EQ(make_plan(job, cohort, {}, gpu("cuda 9.0")).at(1).key, before.at(1).key) << "what is the same is reused";
  second = std::make_unique<OnDevice>(dynamic_cast<OnDevice&>(*second).release(), DeviceUse::own_bits);
  const auto cpu = make_plan(job, cohort, {}), h100 = make_plan(job, cohort, {}, gpu("cuda 9.0")),
             a100 = make_plan(job, cohort, {}, gpu("cuda 8.0"));
  for (std::size_t i = 0; i < cpu.size(); ++i) EXPECT_EQ(cpu[i].key, before[i].key) << "results of the CPU stay valid";
  EXPECT_EQ(h100.at(0).key, cpu.at(0).key) << "import computes on the CPU";
  EXPECT_NE(h100.at(1).key, cpu.at(1).key);
  EXPECT_NE(h100.at(1).key, a100.at(1).key);
  EXPECT_NE(h100.at(2).key, cpu.at(2).key) << "what reads it is made anew";
  EXPECT_EQ(explain_difference(cpu.at(1).made_from, h100.at(1).made_from), "device was the CPU, is cuda 9.0");
  EXPECT_EQ(explain_difference(h100.at(1).made_from, cpu.at(1).made_from), "device was cuda 9.0, is the CPU");
}

TEST(Keys, FastInferenceHasTheKeyOfItsArithmetic) {
  Cohort cohort;
  Series series;
  series.name = series.subject = "p1";
  series.image = "data/p1.nii";
  cohort.series.push_back(series);
  const auto plan = [&](const std::string& options, const Device& device) {
    return make_plan(
        parse_job("output: o\ncohort: data\nstages: [import, interpolation, aif, inference: {weights: w, " + options +
                      "}, masking]\n",
                  "j", {}),
        cohort, {}, device);
  };
  const Device plain, amx{false, 0, "cpu", "bf16 amx"}, gpu{true, 0, "cuda 9.0", "exact"},
      gpu_beside_amx{true, 0, "cuda 9.0", "bf16 amx"};
  const std::string fast = "precision: fast";
  const auto without = plan(fast, plain), with = plan(fast, amx);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(with.at(i).key, without.at(i).key) << "no other stage knows of it";
  EXPECT_NE(with.at(3).key, without.at(3).key);
  EXPECT_NE(with.at(4).key, without.at(4).key) << "what reads it is made anew";
  EXPECT_EQ(explain_difference(with.at(3).made_from, without.at(3).made_from),
            "arithmetic was \"bf16 amx\", is \"exact\"");
  EXPECT_EQ(plan(fast, gpu).at(3).key, plan(fast, gpu_beside_amx).at(3).key) << "a GPU does not ask the processor";
  for (const char* options : {"precision: exact", "precision: fast, engine: reference"})
    EXPECT_EQ(plan(options, amx).at(3).key, plan(options, plain).at(3).key) << options << " is the same everywhere";
}

TEST(Keys, ATaskThatRanWithoutSomeInputsHasAnother) {
  EXPECT_EQ(key_without("k", {}), "k");
  EXPECT_NE(key_without("k", {"training/x"}), "k");
  EXPECT_NE(key_without("k", {"training/x"}), key_without("k", {"training/y"}));
}

TEST(ExplainDifference, NamesWhatChanged) {
  const nlohmann::json before{{"version", 1},
                              {"seed", 1},
                              {"options", {{"threshold", 0.1}, {"old", 1}}},
                              {"inputs", {{"aif/sub-01", "k1"}, {"gone", "k"}}},
                              {"files", {{"a.nii", "h"}}}};
  nlohmann::json now = before;
  EXPECT_EQ(explain_difference(before, now), "nothing that is recorded");
  now["version"] = 2;
  now["options"] = {{"threshold", 0.2}, {"extra", true}};
  now["inputs"] = {{"aif/sub-01", "k2"}, {"more", "k"}};
  now["facts"] = {{"echo_time", 0.03}};
  const auto words = explain_difference(before, now);
  for (const char* part :
       {"version was 1, is 2", "options: threshold was 0.1, is 0.2", "options: extra is new", "options: old is gone",
        "inputs: aif/sub-01 changed", "inputs: more is new", "inputs: gone is gone", "facts is new"})
    EXPECT_NE(words.find(part), std::string::npos) << part << " is not in: " << words;
  EXPECT_EQ(words.find("files"), std::string::npos);
  EXPECT_EQ(words.find("seed"), std::string::npos);
}

}  // namespace
}  // namespace perfpipe
