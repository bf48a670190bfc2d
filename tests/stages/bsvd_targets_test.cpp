// bsvd_targets as a stage: residue functions on demand.
#include "stages/maps.hpp"
#include "tests/stages/deconvolution_curves.hpp"
#include "tests/stages/stage_run.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// Two voxels of a slice inside the mask, one outside.
ArtifactReader deconvolved_stage(const std::string& options) {
  StageRun run;
  const auto interpolation = patient_task("interpolation", "sub-01");
  run.add(interpolation, {"tissue_curves"}, [](ArtifactWriter& writer) {
    auto curves = tissue_curve(Residue::exponential, 40.0, 4.0, 2.0);
    const auto second = tissue_curve(Residue::box, 20.0, 8.0, 0.0);
    curves.insert(curves.end(), second.begin(), second.end());
    curves.insert(curves.end(), second.begin(), second.end());
    writer.write<float>(tissue_curves_spec(), {1, 1, 3, curve_samples}, curves);
    writer.set_metadata({{"start_s", 0.0}, {"dt_s", 1.0}});
  });
  run.add(patient_task("aif", "sub-01"), {"aif"},
          [](ArtifactWriter& writer) { writer.write<float>(aif_spec(), {curve_samples}, arterial_curve()); });
  run.add(patient_task("import", "sub-01"), {"brain_mask"}, [](ArtifactWriter& writer) {
    writer.write<std::uint8_t>(brain_mask_spec(), {1, 1, 3}, std::vector<std::uint8_t>{1, 1, 0});
  });
  return run.run(*make_stage("bsvd_targets", options), patient_task("bsvd_targets", "sub-01"));
}

TEST(BsvdTargets, KeepTheResidueFunctionsOnDemand) {
  EXPECT_FALSE(deconvolved_stage("{}").has("residue"));
  for (const auto& [method, length] : {std::pair{"bsvd", 140}, std::pair{"ssvd", 70}, std::pair{"bayes", 140}}) {
    const auto left = deconvolved_stage(std::string("{residue: true, method: ") + method + "}");
    ASSERT_EQ(left.dims("residue"), (std::vector<std::int64_t>{1, 1, 3, length})) << method;
    const auto residues = left.read<float>("residue"), cbv = left.read<float>("cbv");
    for (std::size_t v = 0; v < 3; ++v) {
      double area = 0.0;
      for (int t = 0; t < length; ++t)
        area += residues[v * static_cast<std::size_t>(length) + static_cast<std::size_t>(t)];
      // CBV = 100 kH/ρ Δt Σk, in float32 over some hundred terms.
      EXPECT_NEAR(100.0 * 0.73 / 1.04 * area, cbv[v], 1e-4 * (1.0 + cbv[v])) << method << ", voxel " << v;
    }
    EXPECT_EQ(residues.back(), 0.0f) << "outside the mask";
  }
}

TEST(BsvdTargets, KeepKAsItsMaximumSays) {
  const auto left = deconvolved_stage("{residue: true}");
  const auto residues = left.read<float>("residue"), cbf = left.read<float>("cbf"), tmax = left.read<float>("tmax");
  const auto top = std::max_element(residues.begin(), residues.begin() + 140);
  EXPECT_NEAR(6000.0 * 0.73 / 1.04 * *top, cbf[0], 1e-4 * cbf[0]);
  EXPECT_EQ(static_cast<float>(top - residues.begin()), tmax[0]);
}

}  // namespace
}  // namespace perfpipe
