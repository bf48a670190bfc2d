#include "model/scaling.hpp"

#include "core/error.hpp"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(InputFactor, BringsThePeakOfTheAifToTheScale) {
  const std::vector<float> aif{0.0f, -1.0f, 8.0f, 2.0f};
  EXPECT_EQ(input_factor(aif, 32.0), 4.0f);
}

TEST(InputFactor, RefusesAifsWithoutAPositivePeak) {
  EXPECT_THROW(input_factor(std::vector<float>{}, 1.0), InputError);
  EXPECT_THROW(input_factor(std::vector<float>{0.0f, 0.0f}, 1.0), InputError);
  EXPECT_THROW(input_factor(std::vector<float>{-2.0f, -1.0f}, 1.0), InputError);
  EXPECT_THROW(input_factor(std::vector<float>{1.0f, std::numeric_limits<float>::quiet_NaN()}, 1.0), InputError);
  EXPECT_THROW(input_factor(std::vector<float>{1.0f, std::numeric_limits<float>::infinity()}, 1.0), InputError);
  EXPECT_THROW(input_factor(std::vector<float>{1e-39f}, 1e3), InputError);  // the factor leaves float's range
}

TEST(ScalePatch, TakesTheNeighboursInOrderTimesTheFactor) {
  std::vector<float> curves(3 * 70, 0.0f);
  for (std::size_t i = 0; i < 140; ++i) curves[70 + i] = static_cast<float>(i);
  const std::vector<std::int32_t> neighbours{0, 1, 2, 2, 1, 0, 0, 0, 1};
  std::vector<float> patch(9 * 70, -1.0f);
  scale_patch(curves, neighbours, 2.0f, patch);
  for (std::size_t position = 0; position < 9; ++position)
    for (std::size_t t = 0; t < 70; ++t)
      ASSERT_EQ(patch[position * 70 + t], 2.0f * curves[static_cast<std::size_t>(neighbours[position]) * 70 + t]);
}

}  // namespace
}  // namespace perfpipe
