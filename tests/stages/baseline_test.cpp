// exemplars and neighbours on small artifacts: what the baseline learns from, and what it says.
#include "stages/maps.hpp"
#include "tests/stages/stage_run.hpp"

#include <set>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::int64_t nz = 2, ny = 3, nx = 4, samples = 5, voxels = nz * ny * nx;

/// Voxel v of patient p has a curve of its own, whose scale is that of the patient's AIF.
float level(int patient, std::int64_t v) { return static_cast<float>(10 * patient) + static_cast<float>(v); }

void add_patient(StageRun& run, const std::string& subject, int patient) {
  const auto gain = static_cast<float>(patient + 1);  // of the scanner: the AIF has it, too
  run.add(patient_task("interpolation", subject), {"tissue_curves"}, [&](ArtifactWriter& writer) {
    std::vector<float> curves;
    for (std::int64_t v = 0; v < voxels; ++v)
      for (std::int64_t t = 0; t < samples; ++t) curves.push_back(gain * level(patient, v) * (t == 2 ? 1.0f : 0.25f));
    writer.write<float>(tissue_curves_spec(), {nz, ny, nx, samples}, curves);
  });
  run.add(patient_task("aif", subject), {"aif"}, [&](ArtifactWriter& writer) {
    writer.write<float>(aif_spec(), {samples}, std::vector<float>{0, 2 * gain, gain, 0, 0});
  });
  run.add(patient_task("bsvd_targets", subject), {"mtt"}, [&](ArtifactWriter& writer) {
    std::vector<float> targets;
    for (std::int64_t v = 0; v < voxels; ++v) targets.push_back(0.5f * level(patient, v));
    writer.write<float>(map_spec(Parameter::mtt), {nz, ny, nx}, targets);
  });
}

void add_draws(StageRun& run) {
  run.add(fold_task("binning", "sub-01", Parameter::mtt), {"training_draws"}, [](ArtifactWriter& writer) {
    std::vector<std::int32_t> draws;
    for (std::int32_t patient : {0, 1})
      for (std::int32_t v = 0; v < voxels; ++v) draws.insert(draws.end(), {patient, v});
    writer.write<std::int32_t>(draws_spec("training"), {2 * voxels, 2}, draws);
    writer.set_metadata({{"series", {"sub-02", "sub-03"}}});
  });
}

ArtifactReader exemplars(int wanted, std::uint64_t seed = 1) {
  StageRun run;
  run.job().seed = seed;
  for (int p = 1; p <= 3; ++p) add_patient(run, "sub-0" + std::to_string(p), p);
  add_draws(run);
  return run.run(*make_stage("exemplars", "{samples: " + std::to_string(wanted) + "}"),
                 fold_task("exemplars", "sub-01", Parameter::mtt));
}

TEST(Exemplars, AreCurvesOverTheAifsPeakWithTheirTargets) {
  const auto left = exemplars(1000);
  const auto curves = left.read<float>("exemplar_curves"), targets = left.read<float>("exemplar_targets");
  ASSERT_EQ(targets.size(), static_cast<std::size_t>(2 * voxels)) << "all draws, where more are wanted";
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const int patient = i < voxels ? 2 : 3;
    const float value = level(patient, static_cast<std::int64_t>(i) % voxels);
    EXPECT_FLOAT_EQ(targets[i], std::min(0.5f * value, 25.0f)) << "saturated as the networks' targets are";
    EXPECT_FLOAT_EQ(curves[i * samples + 2], value / 2.0f) << "free of the scanner's gain";
    EXPECT_FLOAT_EQ(curves[i * samples], value / 8.0f);
  }
}

TEST(Exemplars, AreARandomPartThatFollowsTheSeed) {
  const auto part = exemplars(10).read<float>("exemplar_targets");
  EXPECT_EQ(part.size(), 10u);
  EXPECT_EQ(part, exemplars(10).read<float>("exemplar_targets"));
  EXPECT_NE(part, exemplars(10, 2).read<float>("exemplar_targets"));
  EXPECT_EQ(std::set<float>(part.begin(), part.end()).size(), 10u) << "no draw twice";
}

TEST(Exemplars, WithoutDrawsTheTaskFailsAndNotTheJob) {
  StageRun run;
  EXPECT_THROW(run.run(*make_stage("exemplars", "{}"), fold_task("exemplars", "sub-01", Parameter::mtt)), TaskFailure);
}

void add_exemplars(StageRun& run) {
  run.add(fold_task("exemplars", "sub-01", Parameter::mtt), {"exemplar_curves", "exemplar_targets"},
          [](ArtifactWriter& writer) {
            std::vector<float> curves, targets;
            for (int i = 0; i < 20; ++i) {
              const float value = 5.0f + 2.0f * static_cast<float>(i);
              for (std::int64_t t = 0; t < samples; ++t) curves.push_back(value * (t == 2 ? 1.0f : 0.25f));
              targets.push_back(value);
            }
            writer.write<float>(exemplar_curves_spec(), {20, samples}, curves);
            writer.write<float>(exemplar_targets_spec(), {20}, targets);
          });
}

ArtifactReader estimates(int threads) {
  StageRun run;
  run.job().threads = threads;
  add_patient(run, "sub-01", 1);
  run.add(patient_task("import", "sub-01"), {"brain_mask"}, [](ArtifactWriter& writer) {
    std::vector<std::uint8_t> mask(voxels, 1);
    mask[3] = 0;
    writer.write<std::uint8_t>(brain_mask_spec(), {nz, ny, nx}, mask);
  });
  add_exemplars(run);
  return run.run(*make_stage("neighbours", "{}"), patient_task("neighbours", "sub-01"));
}

TEST(Neighbours, GiveEachVoxelTheTargetOfTheMostSimilarCurve) {
  const auto left = estimates(1);
  EXPECT_FALSE(left.has("nearest_cbf")) << "there are no exemplars for it";
  const auto map = left.read<float>("nearest_mtt");
  for (std::int64_t v = 0; v < voxels; ++v) {
    // Curves scale with level / 2 (10 + v, the AIF's peak taken out): 5, 5.5, ... 16.5; exemplars stand at 5, 7, 9, ...
    const float scale = level(1, v) / 2.0f, estimate = map[static_cast<std::size_t>(v)];
    if (v == 3)
      EXPECT_EQ(estimate, 0.0f) << "outside the brain";
    else
      EXPECT_LE(std::abs(estimate - scale), 1.0f) << v;
  }
  EXPECT_EQ(estimates(3).read<float>("nearest_mtt"), map);
}

TEST(Neighbours, WithoutExemplarsTheTaskFailsAndNotTheJob) {
  StageRun run;
  add_patient(run, "sub-01", 1);
  EXPECT_THROW(run.run(*make_stage("neighbours", "{}"), patient_task("neighbours", "sub-01")), TaskFailure);
}

}  // namespace
}  // namespace perfpipe
