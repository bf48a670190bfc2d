#include "core/options.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

struct Settings {
  double threshold = 0.1;
  std::int64_t epochs = 10;
  bool compress = true;
  std::string method = "bsvd";
  std::string targets;
  std::vector<std::string> parameters{"cbf", "tmax"};
  std::vector<std::int64_t> size{128, 128, 20};
  PerParameter rate{1.0, 2.0, 3.0, 4.0};
};

OptionTable<Settings> table() {
  OptionTable<Settings> t;
  t.number("threshold", &Settings::threshold, {0.0, 1.0, true, true}, "of the maximum", "cut-off");
  t.integer("epochs", &Settings::epochs, {1, 100}, "", "passes");
  t.flag("compress", &Settings::compress, "write .nii.gz");
  t.choice("method", &Settings::method, {"bsvd", "file"}, "how");
  t.text("targets", &Settings::targets, "whose");
  t.choices("parameters", &Settings::parameters, {"cbf", "cbv", "mtt", "tmax"}, "which");
  t.integers("size", &Settings::size, 3, {1, 512}, "voxels", "matrix");
  t.per_parameter("rate", &Settings::rate, {0.0, 10.0, true}, "per step", "rate");
  return t;
}

Settings read(const std::string& text, Findings& findings) { return table().read(parse_config(text, "j"), findings); }

TEST(OptionTable, NothingGivenMeansTheDefaults) {
  Findings findings;
  for (const char* text : {"", "{}", "~"}) {
    const Settings s = read(text, findings);
    EXPECT_EQ(s.threshold, 0.1);
    EXPECT_EQ(s.size, (std::vector<std::int64_t>{128, 128, 20}));
    EXPECT_EQ(s.rate, (PerParameter{1.0, 2.0, 3.0, 4.0}));
  }
  EXPECT_TRUE(findings.empty());
}

TEST(OptionTable, ReadsEveryKindOfOption) {
  Findings findings;
  const Settings s = read(
      "threshold: 0.2\nepochs: 3\ncompress: false\nmethod: file\ntargets: mine\nparameters: [mtt]\nsize: [16, 17, 1]\n"
      "rate: 0.5\n",
      findings);
  EXPECT_TRUE(findings.empty());
  EXPECT_EQ(s.threshold, 0.2);
  EXPECT_EQ(s.epochs, 3);
  EXPECT_FALSE(s.compress);
  EXPECT_EQ(s.method, "file");
  EXPECT_EQ(s.targets, "mine");
  EXPECT_EQ(s.parameters, std::vector<std::string>{"mtt"});
  EXPECT_EQ(s.size, (std::vector<std::int64_t>{16, 17, 1}));
  EXPECT_EQ(s.rate, (PerParameter{0.5, 0.5, 0.5, 0.5}));
}

TEST(OptionTable, AMapByParameterLeavesTheOthersAtTheirDefault) {
  Findings findings;
  EXPECT_EQ(read("rate: {mtt: 9, cbf: 0.25}", findings).rate, (PerParameter{0.25, 2.0, 9.0, 4.0}));
  EXPECT_TRUE(findings.empty());
}

TEST(OptionTable, EveryProblemBecomesAFindingAndNoneIsTakenOver) {
  Findings findings;
  const Settings s = read(
      "threshold: 1\nepochs: 1.5\ncompress: maybe\nmethod: svd\nparameters: [cbf, cbf]\nsize: [16, 16]\n"
      "rate: {mtt: 0, xyz: 1}\nnothing: 1\n",
      findings);
  const std::vector<std::string> expected{
      "j:8:10: unknown key 'nothing'; allowed: threshold, epochs, compress, method, targets, parameters, size, rate, "
      "as",
      "j:1:12: threshold = 1: expected a number in (0, 1)",
      "j:2:9: epochs = 1.5: expected a whole number in [1, 100]",
      "j:3:11: compress = maybe: expected true or false",
      "j:4:9: method = svd: expected one of: bsvd, file (did you mean 'bsvd'?)",
      "j:5:19: parameters[1] = cbf: listed twice; name each once",
      "j:6:7: size = a list of 2: expected a list of 3 integers, each in [1, 512]",
      "j:7:21: unknown key 'xyz' in rate; allowed: cbf, cbv, mtt, tmax",
      "j:7:13: rate.mtt = 0: expected a number in (0, 10]"};
  EXPECT_EQ(findings.lines(), expected);
  EXPECT_EQ(s.threshold, 0.1);
  EXPECT_EQ(s.epochs, 10);
  EXPECT_EQ(s.parameters, (std::vector<std::string>{"cbf", "tmax"}));
  EXPECT_EQ(s.rate, (PerParameter{1.0, 2.0, 3.0, 4.0}));
}

TEST(OptionTable, RefusesListsThatAreNone) {
  for (const char* text : {"parameters: cbf", "parameters: []", "parameters: [nbf]", "size: 3", "size: [1, 2, 600]",
                           "rate: [1, 2, 3, 4]", "[1]", "seven"}) {
    Findings findings;
    read(text, findings);
    EXPECT_EQ(findings.lines().size(), 1u) << text;
  }
}

TEST(OptionTable, WritesResolvedValuesInItsOrder) {
  EXPECT_EQ(table().write(Settings{}).dump(),
            R"({"threshold":0.1,"epochs":10,"compress":true,"method":"bsvd","targets":"","parameters":["cbf","tmax"],)"
            R"("size":[128,128,20],"rate":{"cbf":1.0,"cbv":2.0,"mtt":3.0,"tmax":4.0}})");
}

TEST(OptionTable, WhatItWritesItReads) {
  Findings findings;
  const Settings given = read("{threshold: 0.3, size: [3, 4, 5], rate: {tmax: 7}, targets: a}", findings);
  const auto written = table().write(given);
  EXPECT_EQ(table().write(read(written.dump(), findings)), written);
  EXPECT_TRUE(findings.empty());
}

TEST(OptionTable, HelpSaysRangeDefaultAndUnit) {
  const auto help = table().help();
  ASSERT_EQ(help.size(), 8u);
  EXPECT_EQ(help[0].name, "threshold");
  EXPECT_EQ(help[0].allowed, "(0, 1)");
  EXPECT_EQ(help[0].initial, "0.1");
  EXPECT_EQ(help[0].unit, "of the maximum");
  EXPECT_EQ(help[3].allowed, "bsvd, file");
  EXPECT_EQ(help[3].initial, "\"bsvd\"");
}

}  // namespace
}  // namespace perfpipe
