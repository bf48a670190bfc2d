#include "formats/cohort_scan.hpp"
#include "tests/formats/nifti_builder.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

struct Outcome {
  CohortOptions options;
  Findings findings;
};

Outcome read(const std::string& yaml) {
  const ConfigNode root = parse_config(yaml, "job.yaml");
  Outcome outcome;
  outcome.options = read_cohort_options(*root.find("cohort"), outcome.findings);
  return outcome;
}

void expect_refused(const std::string& yaml, const std::vector<std::string>& pieces) {
  const Outcome outcome = read(yaml);
  EXPECT_TRUE(has_line(outcome.findings.lines(), pieces)) << yaml << all_lines(outcome.findings.lines());
}

TEST(CohortOptions, APathAloneIsShortForAMap) {
  for (const char* yaml : {"cohort: data/cohort\n", "cohort: {path: data/cohort}\n"}) {
    const Outcome outcome = read(yaml);
    EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
    EXPECT_EQ(outcome.options.path, "data/cohort");
    EXPECT_EQ(outcome.options.layout, "detect");
    EXPECT_EQ(outcome.options.on_error, "stop");
    EXPECT_TRUE(outcome.options.patients.empty());
    EXPECT_EQ(outcome.options.where.substr(0, 10), "job.yaml:1");
  }
}

TEST(CohortOptions, ReadsEveryKey) {
  const Outcome outcome = read(
      "cohort:\n  path: data\n  layout: isles17\n  modality: ct\n  kind: concentration\n  repetition_time: 1.5\n"
      "  echo_time: 0.03\n  mask: m.nii\n  aif: a.tsv\n  baseline: 8\n  on_error: skip\n"
      "  patients:\n    sub-01: {repetition_time: 2, modality: mr, kind: signal}\n    02:\n");
  EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
  const CohortOptions& options = outcome.options;
  EXPECT_EQ(options.layout, "isles17");
  EXPECT_EQ(options.on_error, "skip");
  EXPECT_EQ(options.overrides.modality, Modality::ct);
  EXPECT_EQ(options.overrides.kind, SeriesKind::concentration);
  EXPECT_EQ(options.overrides.repetition_time, 1.5);
  EXPECT_EQ(options.overrides.echo_time, 0.03);
  EXPECT_EQ(options.overrides.mask->path, "m.nii");
  EXPECT_EQ(options.overrides.aif->path, "a.tsv");
  EXPECT_EQ(options.overrides.baseline, 8);
  ASSERT_EQ(options.patients.size(), 2u);
  EXPECT_EQ(options.patients[0].name, "sub-01");
  EXPECT_EQ(options.patients[0].overrides.repetition_time, 2.0);
  EXPECT_EQ(options.patients[0].overrides.modality, Modality::mr);
  EXPECT_EQ(options.patients[0].overrides.kind, SeriesKind::signal);
  EXPECT_FALSE(options.patients[0].overrides.echo_time);
  EXPECT_EQ(options.patients[1].name, "02");
  EXPECT_EQ(to_json(options).dump(),
            R"({"repetition_time":1.5,"echo_time":0.03,"mask":"m.nii","aif":"a.tsv","modality":"ct",)"
            R"("kind":"concentration","baseline":8,"path":"data","layout":"isles17","on_error":"skip",)"
            R"("patients":{"sub-01":{"repetition_time":2.0,"modality":"mr","kind":"signal"},"02":{}}})");
}

TEST(CohortOptions, PatientsMayBeAList) {
  const Outcome outcome = read("cohort: {path: data, patients: [01, sub-02, \"03\"]}\n");
  EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
  ASSERT_EQ(outcome.options.patients.size(), 3u);
  EXPECT_EQ(outcome.options.patients[0].name, "01");
  EXPECT_EQ(outcome.options.patients[2].name, "03");
}

TEST(CohortOptions, RefusesWrongValuesWithTheirPlace) {
  expect_refused("cohort: {path: data, repetition_time: 1500}\n",
                 {"job.yaml:1", "repetition_time = 1500", "0.1 to 10 s"});
  expect_refused("cohort: {path: data, echo_time: 30}\n", {"job.yaml:1", "echo_time = 30", "milliseconds?"});
  expect_refused("cohort: {path: data, echo_time: \"0.03\"}\n", {"echo_time", "expected a number"});
  expect_refused("cohort: {path: data, baseline: 0}\n", {"baseline", "[1, 1000]"});
  expect_refused("cohort: {path: data, baseline: 2.5}\n", {"baseline", "whole number"});
  expect_refused("cohort: {path: data, layout: bidz}\n", {"layout", "bids, flat", "did you mean 'bids'"});
  expect_refused("cohort: {path: data, modality: mri}\n", {"modality", "mr, ct"});
  expect_refused("cohort: {path: data, kind: raw}\n", {"kind", "signal, concentration"});
  expect_refused("cohort: {path: data, on_error: ignore}\n", {"on_error", "stop, skip"});
  expect_refused("cohort: {path: data, echotime: 0.03}\n", {"unknown key 'echotime'", "did you mean 'echo_time'"});
}

TEST(CohortOptions, NeedsAPath) {
  expect_refused("cohort: {layout: bids}\n", {"job.yaml:1", "has no path", "cohort: PATH"});
  expect_refused("cohort: [a, b]\n", {"expected the folder of the cohort"});
  expect_refused("cohort: {path: {a: 1}}\n", {"expected the folder of the cohort"});
  expect_refused("cohort: \"\"\n", {"job.yaml:1"});
}

TEST(CohortOptions, RefusesWrongPatients) {
  expect_refused("cohort: {path: data, patients: [01, 01]}\n", {"\"01\" is listed twice"});
  expect_refused("cohort: {path: data, patients: [sub-01, 01]}\n", {"\"01\" is listed twice"});
  expect_refused("cohort: {path: data, patients: []}\n", {"patients", "list of names"});
  expect_refused("cohort: {path: data, patients: 01}\n", {"patients", "list of names"});
  expect_refused("cohort: {path: data, patients: {sub-01: 2}}\n", {"expected overrides", "repetition_time"});
  expect_refused("cohort: {path: data, patients: {sub-01: {path: x}}}\n", {"unknown key 'path'"});
  expect_refused("cohort: {path: data, patients: {sub-01: {echo_time: 30}}}\n", {"patients.sub-01", "milliseconds?"});
}

}  // namespace
}  // namespace perfpipe
