// The inference and training stages on small artifacts.
#include "core/random.hpp"
#include "model/bicnn.hpp"
#include "model/dense_inference.hpp"
#include "model/inference.hpp"
#include "model/patches.hpp"
#include "stages/maps.hpp"
#include "tests/stages/stage_run.hpp"
#include "tests/temp_folder.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::int64_t nz = 2, ny = 4, nx = 5, plane = ny * nx, samples = 70;

std::vector<float> bolus(double arrival, double peak) {
  std::vector<float> curve;
  for (std::int64_t t = 0; t < samples; ++t) {
    const double x = std::max(0.0, (static_cast<double>(t) - arrival) / 5.0);
    curve.push_back(static_cast<float>(peak * std::pow(x, 3.0) * std::exp(3.0 * (1.0 - x))));
  }
  return curve;
}

std::vector<std::uint8_t> mask() {
  std::vector<std::uint8_t> inside(static_cast<std::size_t>(nz * plane), 1);
  inside[3] = inside[25] = 0;
  return inside;
}

std::vector<float> tissue_curves() {
  Random random(1, "tissue");
  std::vector<float> curves;
  const auto inside = mask();
  for (std::int64_t v = 0; v < nz * plane; ++v) {
    const bool brain = inside[static_cast<std::size_t>(v)] != 0;
    const auto curve = bolus(10.0 + 4.0 * random.uniform(), brain ? 0.5 + random.uniform() : 0.0);
    curves.insert(curves.end(), curve.begin(), curve.end());
  }
  return curves;
}

WeightFile network(Parameter p, std::uint64_t seed = 5) {
  auto tensors = initial_weights(architecture_of(p), seed, name(p));
  tensors.back().values[0] += 1.0f;  // so that no estimate is clamped
  return make_weight_file({p, 10.0, "test", {"sub-02", "sub-03"}, "0", {{"window_s", {200.0, 300.0}}}}, tensors);
}

void add_tissue(StageRun& run) {
  run.add(patient_task("interpolation", "sub-01"), {"tissue_curves"}, [](ArtifactWriter& writer) {
    writer.write<float>(tissue_curves_spec(), {nz, ny, nx, samples}, tissue_curves());
    writer.set_metadata({{"acquired_interval_s", 1.6}, {"acquired_window_s", 80.0}});
  });
  run.add(patient_task("import", "sub-01"), {"brain_mask"}, [](ArtifactWriter& writer) {
    writer.write<std::uint8_t>(brain_mask_spec(), {nz, ny, nx}, mask());
  });
}

void add_aif(StageRun& run) {
  run.add(patient_task("aif", "sub-01"), {"aif"},
          [](ArtifactWriter& writer) { writer.write<float>(aif_spec(), {samples}, bolus(8.0, 60.0)); });
}

void write_weights(const std::filesystem::path& folder, const WeightFile& file, Parameter p) {
  std::filesystem::create_directories(folder);
  const std::string bytes = to_safetensors(file);
  std::ofstream(folder / (std::string(name(p)) + ".safetensors"), std::ios::binary) << bytes;
}

void add_network(StageRun& run, Parameter p) {
  run.add(fold_task("training", "sub-01", p), {"network"}, [&](ArtifactWriter& writer) {
    const std::string bytes = to_safetensors(network(p));
    writer.write<std::uint8_t>(network_spec(), {static_cast<std::int64_t>(bytes.size())},
                               std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  });
}

ArtifactReader infer(StageRun& run, const std::string& options = "{}") {
  return run.run(*make_stage("inference", options), patient_task("inference", "sub-01"));
}

TEST(InferenceStage, EveryVoxelIsTheNetworksEstimateOfItsPatch) {
  StageRun run;
  add_tissue(run);
  add_aif(run);
  for (Parameter p : {Parameter::cbf, Parameter::tmax}) add_network(run, p);
  const auto left = infer(run);
  EXPECT_FALSE(left.has("cbv")) << "there is no network for it";
  const auto curves = tissue_curves(), aif = bolus(8.0, 60.0);
  const auto inside = mask();
  for (Parameter p : {Parameter::cbf, Parameter::tmax}) {
    const ReferenceEngine engine(network(p), "test");
    const auto map = left.read<float>(std::string(name(p)));
    ASSERT_EQ(map.size(), inside.size());
    for (std::int64_t v = 0; v < nz * plane; ++v) {
      if (inside[static_cast<std::size_t>(v)] == 0) {
        EXPECT_EQ(map[static_cast<std::size_t>(v)], 0.0f) << "outside the brain";
        continue;
      }
      // This voxel's patch alone: row 0 is what lies beyond the image, rows 1 to 9 the neighbourhood.
      std::vector<float> patch(static_cast<std::size_t>(10 * samples), 0.0f);
      std::vector<std::int32_t> rows;
      const std::int64_t z = v / plane, place = v % plane;
      for (const std::int64_t neighbour : patch_positions_of(place / nx, place % nx, ny, nx)) {
        const auto row = static_cast<std::int64_t>(rows.size()) + 1;
        rows.push_back(neighbour < 0 ? 0 : static_cast<std::int32_t>(row));
        if (neighbour >= 0)
          std::copy_n(curves.begin() + (z * plane + neighbour) * samples, samples, patch.begin() + row * samples);
      }
      // To rounding: the stage's engine adds in another order (model/dense_inference.hpp).
      const float expected = engine.estimate(patch, rows, aif).at(0);
      EXPECT_NEAR(map[static_cast<std::size_t>(v)], expected, 1e-5f * std::abs(expected)) << "voxel " << v;
    }
  }
}

TEST(InferenceStage, GivesTheSameBitsOnAnyNumberOfThreads) {
  const auto map = [](int threads) {
    StageRun run;
    run.job().threads = threads;
    add_tissue(run);
    add_aif(run);
    add_network(run, Parameter::mtt);
    return infer(run).read<float>("mtt");
  };
  EXPECT_EQ(map(1), map(3));
}

TEST(InferenceStage, TheReferenceEngineGivesTheSameMapUpToRounding) {
  StageRun run;
  add_tissue(run);
  add_aif(run);
  for (Parameter p : {Parameter::cbf, Parameter::mtt}) add_network(run, p);
  std::map<Parameter, std::vector<float>> dense;
  {
    const auto left = infer(run);
    for (Parameter p : {Parameter::cbf, Parameter::mtt}) dense[p] = left.read<float>(std::string(name(p)));
  }
  const auto left = infer(run, "{engine: reference}");
  for (Parameter p : {Parameter::cbf, Parameter::mtt}) {
    const auto expected = left.read<float>(std::string(name(p)));
    for (std::size_t v = 0; v < expected.size(); ++v)
      EXPECT_NEAR(dense[p][v], expected[v], 1e-5f * std::abs(expected[v])) << "sums of order 1 in another order";
  }
}

TEST(InferenceStage, FastArithmeticIsThatOfTheJobAndNotOfTheProcessor) {
  const auto map = [](const std::string& options, const std::string& arithmetic) {
    StageRun run;
    run.job().device.fast_arithmetic = arithmetic;
    add_tissue(run);
    add_aif(run);
    add_network(run, Parameter::mtt);
    return infer(run, options).read<float>("mtt");
  };
  const auto exact = map("{}", "bf16 amx");
  EXPECT_EQ(map("{precision: fast}", "exact"), exact) << "a rank without AMX is among the job's";
  if (fast_dense_kernel() == nullptr) GTEST_SKIP() << "this processor has no AMX";
  const auto fast = map("{precision: fast}", "bf16 amx");
  EXPECT_NE(fast, exact);
  for (std::size_t v = 0; v < exact.size(); ++v) EXPECT_NEAR(fast[v], exact[v], 1e-3f * std::abs(exact[v]) + 1e-6f);
}

TEST(InferenceStage, SeveralNetworksGiveTheirMeanAndTheirSpread) {
  TempFolder folder;
  std::vector<std::vector<float>> maps;
  for (std::uint64_t seed : {1, 2, 3}) {
    const auto one = folder / ("weights/without-sub-0" + std::to_string(seed));
    write_weights(one, network(Parameter::mtt, seed), Parameter::mtt);
    StageRun run;
    add_tissue(run);
    add_aif(run);
    const auto left = infer(run, "{weights: " + one.string() + "}");
    EXPECT_FALSE(left.has("mtt_spread")) << "one network";
    maps.push_back(left.read<float>("mtt"));
  }
  StageRun run;
  add_tissue(run);
  add_aif(run);
  const auto left = infer(run, "{weights: " + folder.path().string() + "}");
  const auto mean = left.read<float>("mtt"), spread = left.read<float>("mtt_spread");
  EXPECT_EQ(left.metadata().at("settings").at("networks").at("mtt").at("networks"), 3);
  for (std::size_t v = 0; v < mean.size(); ++v) {
    const double a = maps[0][v], b = maps[1][v], c = maps[2][v], m = (a + b + c) / 3.0;
    EXPECT_NEAR(mean[v], m, 1e-6) << "one rounding to single precision";
    EXPECT_NEAR(spread[v], std::sqrt(((a - m) * (a - m) + (b - m) * (b - m) + (c - m) * (c - m)) / 2.0), 1e-6);
  }
  EXPECT_GT(spread[0], 0.0f);
  EXPECT_EQ(spread[3], 0.0f) << "outside the brain";
}

TEST(InferenceStage, WarnsOfAWindowThatTheNetworkNeverSaw) {
  StageRun run;
  add_tissue(run);
  add_aif(run);
  add_network(run, Parameter::mtt);
  const auto warnings = infer(run).metadata().at("warnings");
  ASSERT_EQ(warnings.size(), 1u) << warnings.dump();
  EXPECT_NE(warnings[0].get<std::string>().find("is 80 s; the network was trained on 200 to 300 s"), std::string::npos)
      << warnings.dump();
}

TEST(InferenceStage, WhatIsMissingFailsTheTaskAndNotTheJob) {
  StageRun run;
  add_tissue(run);
  add_aif(run);
  EXPECT_THROW(infer(run), TaskFailure) << "no network";
  StageRun no_artery;
  add_tissue(no_artery);
  add_network(no_artery, Parameter::cbf);
  EXPECT_THROW(infer(no_artery), TaskFailure) << "the search for arteries failed for this patient";
}

TEST(TrainingStage, WithoutItsBinningTheTaskFailsAndNotTheJob) {
  StageRun run;
  add_tissue(run);
  add_aif(run);
  EXPECT_THROW(run.run(*make_stage("training", "{}"), fold_task("training", "sub-02", Parameter::cbf)), TaskFailure);
}

}  // namespace
}  // namespace perfpipe
