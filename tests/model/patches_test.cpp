#include "model/patches.hpp"

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

}  // namespace
}  // namespace perfpipe
