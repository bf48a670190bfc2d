#include "stages/maps.hpp"
#include "tests/stages/stage_run.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr float below = 50.2f;  // the float next to 50.2 is above it

void add_maps(StageRun& run, const std::string& stage, const std::string& label, const std::vector<float>& cbf,
              const std::vector<float>& tmax) {
  run.add(patient_task(stage, "sub-01"), {"cbf", "tmax"}, [&](ArtifactWriter& writer) {
    if (!cbf.empty()) writer.write<float>(map_spec(Parameter::cbf), {2, 1, 3}, cbf);
    if (!tmax.empty()) writer.write<float>(map_spec(Parameter::tmax), {2, 1, 3}, tmax);
    writer.set_metadata({{label_key, label}});
  });
}

ArtifactReader masks(StageRun& run, const std::string& options = "{}") {
  run.add(patient_task("import", "sub-01"), {"brain_mask"}, [](ArtifactWriter& writer) {
    writer.write<std::uint8_t>(brain_mask_spec(), {2, 1, 3}, std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0});
    writer.set_metadata({{"voxel_volume_ml", 0.05}});
  });
  return run.run(*make_stage("masking", options), patient_task("masking", "sub-01"));
}

using Mask = std::vector<std::uint8_t>;

TEST(Masking, ThresholdsAreStrictAndCountInTheBrainAlone) {
  StageRun run;
  add_maps(run, "bsvd_targets", "bsvd", {0.0f, 50.1f, below, 60.0f, 50.0f, 1.0f},
           {4.0f, 4.1f, 3.9f, 11.0f, 0.0f, 9.0f});
  const auto left = masks(run);
  EXPECT_EQ(left.read<std::uint8_t>("cbf_mask"), (Mask{1, 1, 0, 0, 1, 0}));
  EXPECT_EQ(left.read<std::uint8_t>("tmax_mask"), (Mask{0, 1, 0, 1, 0, 0})) << "4 s is not above 4 s";
  EXPECT_NEAR(left.metadata().at("volumes_ml").at("cbf").at(0).get<double>(), 3 * 0.05, 1e-12);
  EXPECT_NEAR(left.metadata().at("volumes_ml").at("tmax").at(0).get<double>(), 2 * 0.05, 1e-12);
  EXPECT_EQ(left.metadata().at("makers").at("cbf"), nlohmann::json({"bsvd"}));
}

TEST(Masking, TakesItsThresholdsFromTheJob) {
  StageRun run;
  add_maps(run, "bsvd_targets", "bsvd", {0.0f, 10.0f, 20.0f, 30.0f, 40.0f, 1.0f}, {4.0f, 5.0f, 6.0f, 7.0f, 8.0f, 9.0f});
  const auto left = masks(run, "{cbf_below: 20, tmax_above: 6}");
  EXPECT_EQ(left.read<std::uint8_t>("cbf_mask"), (Mask{1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(left.read<std::uint8_t>("tmax_mask"), (Mask{0, 0, 0, 1, 1, 0}));
}

TEST(Masking, EveryMakerHasItsMaskAndAMissingMapIsLeftOut) {
  StageRun run;
  run.job().slab_bytes = 1;
  add_maps(run, "bsvd_targets", "bsvd", {60, 60, 60, 60, 60, 60}, {9, 9, 9, 9, 9, 9});
  add_maps(run, "inference", "cnn", {}, {0, 0, 0, 0, 9, 0});
  const auto left = masks(run);
  EXPECT_EQ(left.dims("cbf_mask"), (std::vector<std::int64_t>{1, 2, 1, 3}));
  EXPECT_EQ(left.dims("tmax_mask"), (std::vector<std::int64_t>{2, 2, 1, 3}));
  EXPECT_EQ(left.read<std::uint8_t>("cbf_mask"), Mask(6, 0));
  EXPECT_EQ(left.read<std::uint8_t>("tmax_mask"), (Mask{1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(left.metadata().at("makers").at("tmax"), nlohmann::json({"bsvd", "cnn"}));
}

}  // namespace
}  // namespace perfpipe
