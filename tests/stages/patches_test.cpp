#include "stages/patches.hpp"

#include "stages/maps.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Places = std::array<std::int64_t, 9>;

TEST(Patches, AreTheNeighbourhoodRowByRow) {
  EXPECT_EQ(patch_positions_of(2, 3, 5, 10), (Places{12, 13, 14, 22, 23, 24, 32, 33, 34}));
}

TEST(Patches, BeyondTheImageThereIsNothing) {
  EXPECT_EQ(patch_positions_of(0, 0, 5, 10), (Places{-1, -1, -1, -1, 0, 1, -1, 10, 11}));
  EXPECT_EQ(patch_positions_of(4, 9, 5, 10), (Places{38, 39, -1, 48, 49, -1, -1, -1, -1}));
  EXPECT_EQ(patch_positions_of(0, 0, 1, 1), (Places{-1, -1, -1, -1, 0, -1, -1, -1, -1}));
}

TEST(MapSpecs, AreThoseOfTheParameters) {
  const auto specs = map_specs();
  ASSERT_EQ(specs.size(), 4u);
  for (Parameter p : all_parameters) {
    EXPECT_EQ(specs[index(p)].name, name(p));
    EXPECT_EQ(specs[index(p)].units, facts(p).units);
    EXPECT_EQ(specs[index(p)].axes, (std::vector<std::string>{"z", "y", "x"}));
  }
  EXPECT_EQ(tissue_curves_spec(70).samples, 70);
  EXPECT_EQ(tissue_mask_spec(Parameter::tmax).name, "tmax_mask");
}

}  // namespace
}  // namespace perfpipe
