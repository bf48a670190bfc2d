#include "stages/clinical_volumes.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

struct Voxel {
  double cbf, tmax;
};

ClinicalVolumes measured(const std::vector<Voxel>& voxels, double voxel_ml = 2.0) {
  ClinicalVolumes volumes(voxel_ml);
  for (const auto& v : voxels) volumes.see_normal(v.cbf, v.tmax);
  for (const auto& v : voxels) volumes.add(v.cbf, v.tmax);
  return volumes;
}

TEST(ClinicalVolumes, CountWhatIsStrictlyOverEachThreshold) {
  const auto v = measured({{50, 4.0}, {50, 4.1}, {50, 6.0}, {50, 6.1}, {50, 8.1}, {50, 10.0}, {50, 10.1}});
  EXPECT_DOUBLE_EQ(v.hypoperfused_ml(0), 12.0);
  EXPECT_DOUBLE_EQ(v.hypoperfused_ml(1), 8.0);
  EXPECT_DOUBLE_EQ(v.hypoperfused_ml(2), 6.0);
  EXPECT_DOUBLE_EQ(v.hypoperfused_ml(3), 2.0);
  EXPECT_DOUBLE_EQ(v.hypoperfusion_intensity_ratio().value(), 0.25);
}

TEST(ClinicalVolumes, TheCoreIsUnder30PercentOfNormalTissueAndLate) {
  // Normal tissue (Tmax of at most 4 s) has a median of 40, to 1600/65536: the core is under 12.
  const auto v = measured({{40, 1}, {40, 2}, {300, 2}, {11, 3}, {40, 4}, {11, 7}, {11, 12}, {13, 7}, {2, 5}});
  EXPECT_NEAR(v.normal_cbf(), 40.0, 0.03);
  EXPECT_DOUBLE_EQ(v.core_ml(), 4.0) << "{11, 7} and {11, 12}: low flow alone (CSF) is no core";
  EXPECT_DOUBLE_EQ(v.mismatch_ml(), 2.0);
  EXPECT_DOUBLE_EQ(v.mismatch_ratio().value(), 1.5);
}

TEST(ClinicalVolumes, RatiosThatDoNotExistAreNotInvented) {
  const auto healthy = measured({{40, 1}, {50, 2}});
  EXPECT_FALSE(healthy.mismatch_ratio().has_value());
  EXPECT_FALSE(healthy.hypoperfusion_intensity_ratio().has_value());
  EXPECT_DOUBLE_EQ(healthy.mismatch_ml(), 0.0);
  const auto no_normal = measured({{10, 9}});
  EXPECT_DOUBLE_EQ(no_normal.core_ml(), 0.0) << "without normal tissue there is no relative CBF";
  EXPECT_FALSE(measured({}).mismatch_ratio().has_value());
}

}  // namespace
}  // namespace perfpipe
