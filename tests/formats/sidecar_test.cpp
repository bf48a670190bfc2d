#include "formats/sidecar.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

struct Outcome {
  Sidecar sidecar;
  Findings findings;
};

Outcome read(const TempFolder& folder, const std::string& text) {
  Outcome outcome;
  outcome.sidecar = read_sidecar(folder.write("a_dsc.json", text), outcome.findings);
  return outcome;
}

void expect_refused(const std::string& text, std::vector<std::string> pieces) {
  const TempFolder folder;
  const Outcome outcome = read(folder, text);
  pieces.push_back("a_dsc.json: ");
  EXPECT_TRUE(has_line(outcome.findings.lines(), pieces)) << text << all_lines(outcome.findings.lines());
}

TEST(Sidecar, ReadsItsKeysAndLeavesOthersAlone) {
  const TempFolder folder;
  const Outcome outcome = read(folder,
                               "\xEF\xBB\xBF{\"RepetitionTime\": 1.5, \"EchoTime\": 0.03, \"Manufacturer\": \"x\",\r\n"
                               " \"Nested\": {\"EchoTime\": \"not ours\"}, \"List\": [{\"a\": 1}, {\"a\": 2}]}");
  EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
  EXPECT_EQ(outcome.sidecar.repetition_time, 1.5);
  EXPECT_EQ(outcome.sidecar.echo_time, 0.03);
  EXPECT_TRUE(outcome.sidecar.volume_timing.empty());
}

TEST(Sidecar, ReadsVolumeTiming) {
  const TempFolder folder;
  const Outcome outcome = read(folder, R"({"VolumeTiming": [0, 1.0, 2, 4.5]})");
  EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
  EXPECT_EQ(outcome.sidecar.volume_timing, (std::vector<double>{0.0, 1.0, 2.0, 4.5}));
}

TEST(Sidecar, ANumberMustBeANumber) {
  expect_refused(R"({"RepetitionTime": "1.5"})", {"RepetitionTime = \"1.5\"", "expected a number", "without quotes"});
  expect_refused(R"({"EchoTime": [0.03]})", {"EchoTime = a list of 1", "expected a number"});
  expect_refused(R"({"EchoTime": null})", {"EchoTime = null", "expected a number"});
  expect_refused(R"({"RepetitionTime": true})", {"RepetitionTime = true"});
}

TEST(Sidecar, MustBeAnObjectOfValidJson) {
  expect_refused("[1, 2]", {"holds a list of 2", "JSON object"});
  expect_refused("3", {"holds 3"});
  expect_refused("", {"not valid JSON"});
  expect_refused(R"({"RepetitionTime": 1.5,})", {"not valid JSON", "line 1"});
  expect_refused(R"({"RepetitionTime": NaN})", {"not valid JSON"});
  expect_refused(R"({"RepetitionTime": 1e999})", {"not valid JSON", "1e999"});
}

TEST(Sidecar, DuplicateKeysAreAnErrorAtEveryDepth) {
  expect_refused(R"({"EchoTime": 0.03, "EchoTime": 0.04})", {"\"EchoTime\" stands more than once", "keep one"});
  expect_refused(R"({"A": {"B": 1, "B": 1}})", {"\"B\" stands more than once"});
}

TEST(Sidecar, RangesOfTheTimes) {
  expect_refused(R"({"RepetitionTime": 0})", {"RepetitionTime = 0", "0.1 to 10 s"});
  expect_refused(R"({"RepetitionTime": -1.5})", {"RepetitionTime = -1.5", "0.1 to 10 s"});
  expect_refused(R"({"RepetitionTime": 1500})", {"RepetitionTime = 1500", "0.1 to 10 s", "milliseconds?"});
  expect_refused(R"({"EchoTime": 30})", {"EchoTime = 30", "0.001 to 0.2 s", "milliseconds?"});
  expect_refused(R"({"EchoTime": 0})", {"EchoTime = 0", "0.001 to 0.2 s"});
  expect_refused(R"({"EchoTime": 0.3})", {"EchoTime = 0.3", "0.001 to 0.2 s"});
  const TempFolder folder;
  for (const char* text :
       {R"({"RepetitionTime": 0.1, "EchoTime": 0.001})", R"({"RepetitionTime": 10, "EchoTime": 0.2})"})
    EXPECT_TRUE(read(folder, text).findings.empty()) << text;
}

TEST(Sidecar, VolumeTimingRules) {
  expect_refused(R"({"VolumeTiming": [0, 1], "RepetitionTime": 1})", {"both RepetitionTime and VolumeTiming", "BIDS"});
  expect_refused(R"({"VolumeTiming": [0, 1, 1]})", {"VolumeTiming[2] = 1 follows 1", "strictly increasing"});
  expect_refused(R"({"VolumeTiming": [0, "1"]})", {"VolumeTiming[1] = \"1\"", "expected a number"});
  expect_refused(R"({"VolumeTiming": 2})", {"VolumeTiming = 2", "list"});
  expect_refused(R"({"VolumeTiming": []})", {"VolumeTiming = a list of 0", "list"});
}

TEST(Sidecar, IsCapped) {
  expect_refused("{\"a\": \"" + std::string(max_sidecar_bytes, 'x') + "\"}", {"larger than the 1048576 bytes"});
}

TEST(Sidecar, DeepNestingIsNoDanger) {
  const TempFolder folder;
  const std::string deep(400000, '[');
  EXPECT_FALSE(read(folder, deep).findings.empty());
  EXPECT_FALSE(read(folder, deep + std::string(400000, ']')).findings.empty());
}

}  // namespace
}  // namespace perfpipe
