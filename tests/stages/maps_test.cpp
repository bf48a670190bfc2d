#include "stages/maps.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

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
