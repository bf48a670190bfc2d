#include "pipeline/job.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

const std::string head = "output: out\ncohort: data\n";
const std::string whole =
    "stages: [import, interpolation, aif, bsvd_targets, binning, training, inference, masking, evaluation, export, "
    "report]\n";

Job parse(const std::string& text, const JobOverrides& overrides = {}) {
  return parse_job(text, "job.yaml", overrides);
}

/// The findings on a job, one a line, or "accepted".
std::string refusal(const std::string& text, const JobOverrides& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::config);
    return error.what();
  }
  return "accepted";
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Job, HasADefaultForEverythingElse) {
  const Job job = parse(head + whole);
  EXPECT_EQ(job.output, "out");
  EXPECT_EQ(job.cohort.path, "data");
  EXPECT_EQ(job.seed, 1u);
  EXPECT_EQ(job.threads, 0);
  EXPECT_EQ(job.stages.size(), 11u);
  EXPECT_EQ(job.cohort.mask_mode, "auto");
  for (const char* key : {"output", "seed", "cohort", "stages", "parallel"})
    EXPECT_TRUE(job.resolved.contains(key)) << key;
  EXPECT_EQ(job.resolved.at("stages").at(3).at("bsvd_targets").at("threshold"), 0.1) << "defaults are written out";
}

TEST(Job, ReadsWhatIsGiven) {
  const Job job = parse(
      "output: a/b\nseed: 9223372036854775807\ncohort: {path: c, on_error: skip}\nparallel: {deterministic: true, "
      "threads: 3, "
      "slab_memory: 64}\nstages:\n  - import: {mask: none}\n  - interpolation:\n  - aif: {method: file}\n  - "
      "bsvd_targets: "
      "{as: wide, threshold: 0.2}\n");
  EXPECT_EQ(job.seed, 9223372036854775807u);
  EXPECT_EQ(job.threads, 3);
  EXPECT_EQ(job.slab_mebibytes, 64);
  EXPECT_EQ(job.cohort.on_error, "skip");
  EXPECT_EQ(job.cohort.mask_mode, "none") << "which files are looked for follows from the import";
  EXPECT_EQ(job.stages[3].name, "wide");
  EXPECT_EQ(job.stages[3].type.name, "bsvd_targets");
  EXPECT_EQ(job.stages[3].stage->parameters().at("threshold"), 0.2);
  EXPECT_FALSE(job.stages[3].stage->parameters().contains("as"));
}

TEST(Job, ItsResolvedFormIsAJobOfTheSameMeaning) {
  const Job job =
      parse(head + "seed: 5\nstages: [import, interpolation, aif, bsvd_targets: {as: wide, threshold: 0.2}]\n");
  const Job again = parse(job.resolved.dump());
  EXPECT_EQ(again.resolved, job.resolved);
}

TEST(Job, WhatIsMissingIsNamed) {
  EXPECT_TRUE(holds(refusal("cohort: c\n" + whole), "the key 'output' is missing"));
  EXPECT_TRUE(holds(refusal("output: o\n" + whole), "the key 'cohort' is missing"));
  for (const char* stages : {"", "stages:\n", "stages: []\n", "stages: aif\n"})
    EXPECT_TRUE(holds(refusal(head + stages), "the key 'stages' must be a list of at least one stage")) << stages;
  for (const char* text : {"", "just words\n", "- a\n"})
    EXPECT_TRUE(holds(refusal(text), "a job file is a map with the keys: output, seed")) << text;
}

TEST(Job, AllFindingsComeAtOnce) {
  const auto message = refusal("output: o\ncohort: c\nseed: -1\nstagess: 1\nstages: [imprt, aif: {method: pencil}]\n");
  for (const char* part : {"job.yaml:3:7: seed = -1: expected a whole number in [0, 2^63-1]",
                           "unknown key 'stagess' (did you mean 'stages'?)",
                           "stages[0]: unknown stage 'imprt' (did you mean 'import'?); there are: phantom, import, ",
                           "job.yaml:5:31: stages[1].aif.method = pencil: expected one of: mouridsen, peruzzo, "})
    EXPECT_TRUE(holds(message, part)) << part << "\n" << message;
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 3);
}

TEST(Job, RefusesValuesOutsideTheirRanges) {
  const std::pair<const char*, const char*> cases[] = {
      {"seed: 9223372036854775808\n", "seed = 9223372036854775808: expected a whole number"},
      {"seed: 1.5\n", "seed = 1.5: expected a whole number"},
      {"parallel: {threads: 0}\n", "parallel.threads = 0: expected a whole number in [1, 1024]"},
      {"parallel: {threads: many}\n", "parallel.threads = many"},
      {"parallel: {deterministic: false}\n", "only true is offered"},
      {"parallel: {slab_memory: 0}\n", "parallel.slab_memory = 0"},
      {"parallel: {device: gpu}\n", "parallel.device = gpu"},
      {"parallel: {ranks: 2}\n", "unknown key 'ranks' in parallel"},
      {"parallel: 4\n", "parallel = 4: expected a map"}};
  for (const auto& [line, message] : cases)
    EXPECT_TRUE(holds(refusal(head + line + whole), message)) << refusal(head + line + whole);
}

TEST(Job, AStageMayStandTwiceUnderTwoNames) {
  const std::string first = head + "stages:\n  - import\n  - interpolation\n  - aif\n  - bsvd_targets\n";
  EXPECT_EQ(refusal(first + "  - bsvd_targets: {as: wide, threshold: 0.2}\n"), "accepted");
  EXPECT_TRUE(holds(
      refusal(first + "  - bsvd_targets: {threshold: 0.2}\n"),
      "job.yaml:8:5: stages[4]: a stage named 'bsvd_targets' stands already at job.yaml:7:5; give this one a name "
      "of its own with `as:`"));
  EXPECT_TRUE(holds(refusal(first + "  - bsvd_targets: {as: aif}\n"), "a stage named 'aif' stands already"));
  EXPECT_TRUE(holds(refusal(first + "  - bsvd_targets: {as: ../x}\n"), "a name holds letters, digits and _ only"));
  EXPECT_TRUE(holds(refusal(first + "  - bsvd_targets: {as: ''}\n"), "expected a text that is not empty"));
}

TEST(Job, RefusesStagesThatAreNone) {
  for (const char* item : {"[a]", "{aif: {}, import: {}}", "~"})
    EXPECT_TRUE(holds(refusal(head + "stages: [import, " + item + "]\n"),
                      "expected a stage's name, or one name with its options"))
        << item;
  EXPECT_TRUE(holds(refusal(head + "stages: [import: 3]\n"), "stages[0].import = 3: expected a map of options"));
}

TEST(Job, TheCommandLineOverridesTheFile) {
  JobOverrides overrides;
  overrides.output = "elsewhere";
  overrides.cohort = "others";
  overrides.settings = {"bsvd_targets.threshold=0.3", "seed=7"};
  const Job job = parse(head + whole, overrides);
  EXPECT_EQ(job.output, "elsewhere");
  EXPECT_EQ(job.cohort.path, "others");
  EXPECT_EQ(job.seed, 7u);
  EXPECT_EQ(job.stages[3].stage->parameters().at("threshold"), 0.3);
  EXPECT_EQ(parse("cohort: {path: a, on_error: skip}\n" + whole, overrides).cohort.on_error, "skip")
      << "the rest of the map stays";
  EXPECT_EQ(parse(whole, overrides).cohort.path, "others") << "both may be left out of the file then";
  overrides.settings = {"bsvd_targets.threshold=3"};
  EXPECT_TRUE(
      holds(refusal(head + whole, overrides), "--set bsvd_targets.threshold=3: stages[3].bsvd_targets.threshold = 3"));
}

TEST(Job, APhantomIsAJobOfItsOwn) {
  EXPECT_EQ(refusal("output: o\nstages: [phantom: {patients: 2}]\n"), "accepted");
  EXPECT_TRUE(holds(refusal("output: o\ncohort: c\nstages: [phantom]\n"), "a phantom job has no cohort"));
  EXPECT_TRUE(holds(refusal("output: o\nstages: [phantom, import]\n"), "a phantom is a job of its own"));
}

TEST(Ports, AMissingWriterIsNamedWithTheStagesThatWriteIt) {
  const auto message = refusal(head + "stages:\n  - import\n  - aif\n");
  EXPECT_TRUE(
      holds(message,
            "job.yaml:5:5: stage 'aif' reads 'tissue_curves', which no stage before it writes; put one of these before "
            "it: interpolation"))
      << message;
  EXPECT_TRUE(holds(refusal(head + "stages: [import, interpolation, export]\n"),
                    "stage 'export' reads 'cbf', which no stage before it"))
      << "export without maps";
  EXPECT_TRUE(
      holds(refusal(head + "stages: [interpolation, import]\n"), "'concentration', which no stage before it writes"))
      << "in this order";
}

TEST(Ports, ANamedWriterMustBeThere) {
  const std::string stages = "stages: [import, interpolation, aif, bsvd_targets, binning: {targets: tikhonov}]\n";
  EXPECT_TRUE(
      holds(refusal(head + stages),
            "stage 'binning' takes 'cbf' from 'tikhonov', but no stage before it has that name; there are: import, "
            "interpolation, aif, bsvd_targets"));
  EXPECT_TRUE(holds(refusal(head + "stages: [import, interpolation, aif, bsvd_targets, binning: {targets: aif}]\n"),
                    "reads 'cbf', which no stage before it writes"))
      << "a stage that is there and writes no maps";
}

TEST(Ports, TheNetworksNeed70Samples) {
  const auto message =
      refusal(head + "stages: [import, interpolation: {samples: 60}, aif, bsvd_targets, binning, training]\n");
  EXPECT_TRUE(holds(message,
                    "stage 'training' needs 'tissue_curves' of 70 samples in time, but 'interpolation' gives 60; set "
                    "interpolation.samples=70"))
      << message;
  EXPECT_EQ(refusal(head + "stages: [import, interpolation: {samples: 60}, aif, bsvd_targets]\n"), "accepted");
}

/// A stage of given ports and nothing else.
class Ported final : public Stage {
 public:
  explicit Ported(Ports ports) : ports_(std::move(ports)) {}
  Ports ports() const override { return ports_; }
  nlohmann::ordered_json parameters() const override { return nullptr; }
  void run(StageContext&) const override {}

 private:
  Ports ports_;
};

Findings findings_of(const DatasetSpec& written, const DatasetSpec& read) {
  std::vector<StageInstance> stages;
  stages.push_back({"writer", {}, std::make_unique<Ported>(Ports{{}, {written}}), "job:1:1"});
  stages.push_back({"reader", {}, std::make_unique<Ported>(Ports{{{read}}, {}}), "job:2:1"});
  Findings findings;
  check_ports(stages, findings);
  return findings;
}

TEST(Ports, AxesUnitsAndTypeMustAgree) {
  const DatasetSpec map{"cbf", {"z", "y", "x"}, "ml/100g/min", ElementType::float32};
  EXPECT_TRUE(findings_of(map, map).empty());
  DatasetSpec turned = map, scaled = map, whole_numbers = map;
  turned.axes = {"x", "y", "z"};
  scaled.units = "1/s";
  whole_numbers.type = ElementType::int32;
  EXPECT_EQ(
      findings_of(turned, map).lines().at(0),
      "job:2:1: stage 'reader' reads 'cbf' as (z, y, x) float32 in ml/100g/min, but 'writer' writes it as (x, y, z) "
      "float32 in ml/100g/min");
  EXPECT_TRUE(holds(findings_of(scaled, map).lines().at(0), "but 'writer' writes it as (z, y, x) float32 in 1/s"));
  EXPECT_TRUE(holds(findings_of(whole_numbers, map).lines().at(0), "but 'writer' writes it as (z, y, x) int32"));
}

}  // namespace
}  // namespace perfpipe
