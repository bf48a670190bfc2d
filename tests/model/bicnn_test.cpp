#include "model/bicnn.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr Architecture architectures[] = {Architecture::convolution, Architecture::max_pool};

WeightFacts some_facts(Parameter p) { return {p, 12.5, "paper", {"sub-01", "sub-\"2\""}, "1.2.3"}; }

WeightFile some_file(Parameter p) {
  return make_weight_file(some_facts(p), initial_weights(architecture_of(p), 1, "test"));
}

/// The message of the refusal, which must have the exit code of bad input.
std::string refusal(const WeightFile& file, Parameter p) {
  try {
    check_weights(file, p, "w.safetensors");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::input);
    return e.what();
  }
  return "accepted";
}

#define EXPECT_MENTIONS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(LayerTable, HasThePapersNumberOfWeights) {
  EXPECT_EQ(weight_count(Architecture::convolution), 131905);
  EXPECT_EQ(weight_count(Architecture::max_pool), 60161);
}

TEST(LayerTable, HasThePapersLayersAndFanIns) {
  const auto table = layer_table(Architecture::convolution);
  ASSERT_EQ(table.size(), 18u);
  EXPECT_EQ(layer_table(Architecture::max_pool).size(), 14u);
  const std::vector<std::pair<std::string, std::int64_t>> weights{
      {"ctc.conv1", 36},  {"ctc.conv2", 1120}, {"ctc.conv3", 128}, {"aif.conv1", 36}, {"aif.conv2", 1120},
      {"aif.conv3", 128}, {"fc6", 256},        {"fc7", 128},       {"fc8", 128}};
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(table[2 * i].name, weights[i].first + ".weight");
    EXPECT_EQ(table[2 * i + 1].name, weights[i].first + ".bias");
    EXPECT_EQ(table[2 * i].fan_in, weights[i].second);
    EXPECT_EQ(table[2 * i + 1].fan_in, weights[i].second);
  }
}

TEST(LayerTable, OnlyCbfHasMaxPooling) {
  for (const Parameter p : all_parameters)
    EXPECT_EQ(architecture_of(p) == Architecture::max_pool, p == Parameter::cbf) << name(p);
}

TEST(InitialWeights, FillTheirBoundsEvenly) {
  for (const auto a : architectures) {
    const auto tensors = initial_weights(a, 3, "fold-1");
    const auto table = layer_table(a);
    ASSERT_EQ(tensors.size(), table.size());
    for (std::size_t i = 0; i < table.size(); ++i) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(table[i].fan_in));
      double sum = 0.0;
      double squares = 0.0;
      for (const double x : tensors[i].values) {
        EXPECT_LE(std::abs(x), bound * (1.0 + 1e-7)) << table[i].name;
        sum += x;
        squares += x * x;
      }
      // Mean 0 and variance bound^2 / 3, within five standard errors.
      const auto n = static_cast<double>(tensors[i].values.size());
      EXPECT_NEAR(sum / n, 0.0, 5.0 * bound / std::sqrt(3.0 * n)) << table[i].name;
      EXPECT_NEAR(squares / n / (bound * bound), 1.0 / 3.0, 5.0 * std::sqrt(4.0 / 45.0 / n)) << table[i].name;
    }
  }
}

TEST(InitialWeights, DependOnSeedAndStreamAlone) {
  const auto first = [](std::uint64_t seed, std::string_view stream) {
    return flatten(initial_weights(Architecture::max_pool, seed, stream));
  };
  EXPECT_EQ(first(1, "a"), first(1, "a"));
  EXPECT_NE(first(1, "a"), first(2, "a"));
  EXPECT_NE(first(1, "a"), first(1, "b"));
}

TEST(InitialWeights, FlattenAndBack) {
  const auto tensors = initial_weights(Architecture::convolution, 1, "a");
  const auto back = unflatten(Architecture::convolution, flatten(tensors));
  ASSERT_EQ(back.size(), tensors.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].name, tensors[i].name);
    EXPECT_EQ(back[i].shape, tensors[i].shape);
    EXPECT_EQ(back[i].values, tensors[i].values);
  }
}

TEST(WeightFacts, SurviveTheFile) {
  for (const Parameter p : all_parameters) {
    const auto read = check_weights(parse_safetensors(to_safetensors(some_file(p)), "w"), p, "w");
    EXPECT_EQ(read.parameter, p);
    EXPECT_EQ(read.input_scale, 12.5);
    EXPECT_EQ(read.recipe, "paper");
    EXPECT_EQ(read.training_cohort, (std::vector<std::string>{"sub-01", "sub-\"2\""}));
    EXPECT_EQ(read.version, "1.2.3");
  }
}

TEST(WeightCheck, RefusesTheNetworkOfAnotherParameter) {
  const auto text = refusal(some_file(Parameter::mtt), Parameter::tmax);
  EXPECT_MENTIONS(text, "'mtt'");
  EXPECT_MENTIONS(text, "'tmax'");
}

TEST(WeightCheck, RefusesMetadataThatAreMissingOrOfAnotherKind) {
  for (const auto& [key, value] : some_file(Parameter::cbv).metadata) {
    auto file = some_file(Parameter::cbv);
    file.metadata.erase(key);
    EXPECT_MENTIONS(refusal(file, Parameter::cbv), "no '" + key + "'");
  }
  for (const auto& [key, value] : std::map<std::string, std::string>{{"format", "perfpipe-bicnn-9"},
                                                                     {"parameter", "ttp"},
                                                                     {"architecture", "bi-cnn-max-pool"},
                                                                     {"units", "s"},
                                                                     {"input_scaling", "z-score"},
                                                                     {"input_scale", "-1"},
                                                                     {"training_cohort", "sub-01"}}) {
    auto file = some_file(Parameter::cbv);
    file.metadata[key] = value;
    EXPECT_MENTIONS(refusal(file, Parameter::cbv), "'" + key + "' is '" + value + "'");
  }
  for (const std::string scale : {"nan", "inf", "0", "3x", "", "1e999"}) {
    auto file = some_file(Parameter::cbv);
    file.metadata["input_scale"] = scale;
    EXPECT_MENTIONS(refusal(file, Parameter::cbv), "'input_scale' is '" + scale + "'");
  }
}

TEST(WeightCheck, RefusesTensorsOfAnotherArchitecture) {
  auto file = some_file(Parameter::cbf);
  file.tensors = initial_weights(Architecture::convolution, 1, "test");
  const auto text = refusal(file, Parameter::cbf);
  EXPECT_MENTIONS(text, "'ctc.conv2.weight' [32, 35, 32]");
  EXPECT_MENTIONS(text, "needs 'ctc.conv3.weight' [32, 2, 2, 32]");

  file = some_file(Parameter::mtt);
  file.tensors.pop_back();
  EXPECT_MENTIONS(refusal(file, Parameter::mtt), "needs 'fc8.bias' [1]");
  file = some_file(Parameter::mtt);
  std::swap(file.tensors[16].shape[0], file.tensors[16].shape[1]);
  EXPECT_MENTIONS(refusal(file, Parameter::mtt), "'fc8.weight' [128, 1]");
}

TEST(WeightCheck, ReportsAllFindingsAtOnce) {
  auto file = some_file(Parameter::cbf);
  file.metadata["units"] = "s";
  file.metadata["format"] = "x";
  const auto text = refusal(file, Parameter::cbf);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

}  // namespace
}  // namespace perfpipe
