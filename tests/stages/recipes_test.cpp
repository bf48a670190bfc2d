#include "stages/recipes.hpp"

#include "core/stage.hpp"
#include "stages/registry.hpp"
#include "tests/formats/nifti_builder.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// The resolved options of a training stage that is written as `yaml`.
nlohmann::ordered_json training_options(const std::string& yaml, Findings& findings) {
  for (const auto& type : all_stage_types())
    if (type.name == "training") return type.configure(parse_config(yaml, "job.yaml"), findings)->parameters();
  return {};
}
nlohmann::ordered_json training_options(const std::string& yaml) {
  Findings findings;
  auto options = training_options(yaml, findings);
  EXPECT_TRUE(findings.empty()) << all_lines(findings.lines());
  return options;
}

TEST(Recipes, PaperHasThePapersNumbers) {
  // Ho et al., V.B, and Torch7's defaults (METHODS: recipe "paper").
  const auto options = training_options("recipe: paper");
  EXPECT_EQ(options.at("optimiser"), "sgd");
  EXPECT_EQ(options.at("batch"), 50);
  EXPECT_EQ(options.at("epochs"), 10);
  EXPECT_EQ(options.at("momentum"), 0.9);
  EXPECT_EQ(options.at("learning_rate").dump(), R"({"cbf":5e-05,"cbv":0.0005,"mtt":0.005,"tmax":0.005})");
  EXPECT_EQ(options.at("decay").dump(), R"({"cbf":1e-09,"cbv":1e-08,"mtt":1e-07,"tmax":1e-07})");
  EXPECT_EQ(options.at("schedule"), "plateau");
  EXPECT_EQ(options.at("plateau_factor"), 0.1);
  EXPECT_EQ(options.at("plateau_times"), 3);
  EXPECT_EQ(options.at("standardise"), false);
  EXPECT_EQ(options.at("tissue_scale"), 0.0);
}

TEST(Recipes, PaperIsTheDefaultAndEqualsTheStagesOwnDefaults) {
  EXPECT_EQ(training_options("{}"), training_options("recipe: paper"));
  // What `perfpipe stages` shows as defaults must be what a job without options gets.
  for (const auto& type : all_stage_types()) {
    if (type.name != "training") continue;
    const auto options = training_options("{}");
    for (const auto& help : type.options)
      if (help.name == "learning_rate" || help.name == "input_scale" || help.name == "decay") {
        EXPECT_EQ(help.initial, options.at(help.name).dump()) << help.name;
      }
  }
}

TEST(Recipes, OptionsOfTheJobComeFirst) {
  const auto options = training_options("{recipe: modern, batch: 64, learning_rate: {tmax: 0.001}}");
  EXPECT_EQ(options.at("optimiser"), "adam");
  EXPECT_EQ(options.at("batch"), 64);
  EXPECT_EQ(options.at("learning_rate").at("tmax"), 0.001);
  EXPECT_EQ(options.at("learning_rate").at("cbf"), 0.002) << "the others are the recipe's";
}

TEST(Recipes, AFileIsARecipeToo) {
  const TempFolder folder;
  const auto file = folder.write("mine.yaml", "batch: 7\nepochs: 3\n").string();
  const auto options = training_options("recipe: " + file);
  EXPECT_EQ(options.at("batch"), 7);
  EXPECT_EQ(options.at("epochs"), 3);
}

TEST(Recipes, WrongOnesAreFindings) {
  const TempFolder folder;
  const auto refused = [](const std::string& yaml, const std::vector<std::string>& pieces) {
    Findings findings;
    training_options(yaml, findings);
    EXPECT_TRUE(has_line(findings.lines(), pieces)) << all_lines(findings.lines());
  };
  refused("recipe: papper", {"recipe = papper", "expected one of: paper, modern, or a YAML file"});
  refused("recipe: nowhere.yaml", {"recipe", "nowhere.yaml"});
  refused("recipe: " + folder.write("a.yaml", "bach: 7\n").string(), {"a.yaml:1:", "unknown key 'bach'", "batch"});
  refused("recipe: " + folder.write("b.yaml", "batch: 0\n").string(), {"b.yaml:1:8", "batch = 0"});
  refused("recipe: " + folder.write("c.yaml", "recipe: paper\n").string(), {"c.yaml", "without `recipe`"});
  refused("recipe: " + folder.write("d.yaml", "[1, 2]\n").string(), {"d.yaml", "a recipe is a map"});
}

}  // namespace
}  // namespace perfpipe
