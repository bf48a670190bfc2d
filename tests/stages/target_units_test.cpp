#include "stages/target_units.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(TargetUnits, OfOursAreTakenAsTheyAre) {
  for (const Parameter p : all_parameters) {
    EXPECT_EQ(target_units(p)[0], facts(p).units);
    EXPECT_EQ(target_factor(p, target_units(p)[0], 1.04), 1.0);
  }
}

TEST(TargetUnits, SpellingDoesNotMatter) {
  for (const char* units : {"mL/100g/min", "ml / 100 g / min", "ml/min/100g", "ML/MIN/100 G"})
    EXPECT_EQ(target_factor(Parameter::cbf, units, 1.04), 1.0) << units;
}

TEST(TargetUnits, PerVolumeBecomesPerMass) {
  // 104 g of brain fill 100 ml: what passes through them is less for each 100 g.
  EXPECT_DOUBLE_EQ(*target_factor(Parameter::cbf, "ml/min/100ml", 1.04), 1.0 / 1.04);
  EXPECT_DOUBLE_EQ(*target_factor(Parameter::cbv, "mL/100mL", 1.04), 1.0 / 1.04);
  EXPECT_DOUBLE_EQ(*target_factor(Parameter::mtt, "ms", 1.04), 1e-3);
}

TEST(TargetUnits, OthersAreNotGuessedAt) {
  for (const char* units : {"", "a.u.", "ml/g/min", "s", "100g/ml/min"})
    EXPECT_FALSE(target_factor(Parameter::cbf, units, 1.04)) << units;
  EXPECT_FALSE(target_factor(Parameter::tmax, "min", 1.04));
}

TEST(CentralVolume, GivesTheOneThatIsMissing) {
  const std::array<std::vector<float>, 4> all{
      std::vector<float>{60.0f, 0.0f, 20.0f}, {4.0f, 0.0f, 2.0f}, {4.0f, 0.0f, 6.0f}, {1.0f, 2.0f, 3.0f}};
  for (Parameter missing : {Parameter::cbf, Parameter::cbv, Parameter::mtt}) {
    auto maps = all;
    maps[index(missing)].clear();
    EXPECT_EQ(fill_by_central_volume(maps), missing);
    for (std::size_t v = 0; v < 3; ++v)
      EXPECT_FLOAT_EQ(maps[index(missing)][v], all[index(missing)][v]) << name(missing) << " of voxel " << v;
  }
  auto maps = all;
  EXPECT_FALSE(fill_by_central_volume(maps)) << "none is missing";
  maps[index(Parameter::cbf)].clear();
  maps[index(Parameter::mtt)].clear();
  EXPECT_FALSE(fill_by_central_volume(maps)) << "two are missing";
  EXPECT_TRUE(maps[index(Parameter::cbf)].empty());
}

}  // namespace
}  // namespace perfpipe
