#include "stages/figures.hpp"

#include "core/error.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr Colour white{255, 255, 255};
constexpr Colour black{0, 0, 0};

double luminance(Colour c) { return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; }

TEST(PaletteColour, SequentialGrowsLighterAllTheWay) {
  double before = -1.0;
  for (int i = 0; i <= 64; ++i) {
    const double now = luminance(palette_colour(Palette::sequential, i / 64.0));
    EXPECT_GT(now, before) << i;
    before = now;
  }
  EXPECT_LT(luminance(palette_colour(Palette::sequential, 0.0)), 10.0);
  EXPECT_GT(luminance(palette_colour(Palette::sequential, 1.0)), 220.0);
}

TEST(PaletteColour, DivergingIsDarkInTheMiddleAndTellsTheSigns) {
  EXPECT_LT(luminance(palette_colour(Palette::diverging, 0.5)), 20.0);
  const Colour below = palette_colour(Palette::diverging, 0.1);
  const Colour above = palette_colour(Palette::diverging, 0.9);
  EXPECT_GT(below[2], below[0] + 50);
  EXPECT_GT(above[0], above[2] + 50);
  EXPECT_NEAR(luminance(below), luminance(above), 25.0);
}

TEST(PaletteColour, ClampsAndShowsNanAsForeign) {
  EXPECT_EQ(palette_colour(Palette::grey, -3.0), black);
  EXPECT_EQ(palette_colour(Palette::grey, 7.0), white);
  EXPECT_EQ(palette_colour(Palette::sequential, std::nan("")), (Colour{255, 0, 255}));
}

TEST(DisplayRange, IsTheUsualWindowUnlessTheCohortGoesBeyond) {
  EXPECT_EQ(display_range(Parameter::cbf, 80.0).high, 100.0);
  EXPECT_EQ(display_range(Parameter::cbf, 101.0).high, 150.0);
  EXPECT_EQ(display_range(Parameter::cbf, 1600.0).high, 2000.0);
  EXPECT_EQ(display_range(Parameter::cbf, 600.0).high, 700.0);
  EXPECT_EQ(display_range(Parameter::cbv, std::nan("")).high, 8.0);
  EXPECT_EQ(display_range(Parameter::tmax, 30.0).high, 12.0);
  EXPECT_EQ(difference_range({0.0, 100.0}).low, -40.0);
  EXPECT_EQ(difference_range({0.0, 100.0}).high, 40.0);
}

TEST(DisplayFlips, PutAnteriorUpAndThePatientsRightOnTheLeft) {
  // RAS storage: x grows to the right of the patient, y to the front.
  const Flips ras = display_flips({2.0, 0.0, 0.0}, {0.0, 2.0, 0.1});
  EXPECT_TRUE(ras.x);
  EXPECT_TRUE(ras.y);
  // LPS storage, as DICOM has it: already right.
  const Flips lps = display_flips({-2.0, 0.0, 0.0}, {0.0, -2.0, 0.1});
  EXPECT_FALSE(lps.x);
  EXPECT_FALSE(lps.y);
  const Flips sagittal = display_flips({0.0, 2.0, 0.0}, {0.0, 0.0, 2.0});
  EXPECT_FALSE(sagittal.x || sagittal.y);
}

TEST(MapImage, EnlargesFlipsAndMasks) {
  const std::vector<float> values{0.0f, 1.0f, 2.0f, 3.0f};  // 2 x 2
  const std::vector<std::uint8_t> mask{1, 1, 0, 1};
  const Image8 plain = map_image({2, 2, values, mask}, Palette::grey, {0.0, 3.0}, 3, {});
  ASSERT_EQ(plain.width, 6);
  ASSERT_EQ(plain.height, 6);
  EXPECT_EQ(plain.at(5, 5), white);
  EXPECT_EQ(plain.at(3, 2), (Colour{85, 85, 85}));
  EXPECT_EQ(plain.at(0, 5), black);  // 2.0, outside the mask
  const Image8 flipped = map_image({2, 2, values, mask}, Palette::grey, {0.0, 3.0}, 3, {true, true});
  EXPECT_EQ(flipped.at(0, 0), white);
  EXPECT_EQ(flipped.at(2, 5), (Colour{85, 85, 85}));
}

TEST(MapImage, RefusesAMaskOfAnotherSize) {
  const std::vector<float> values(4);
  const std::vector<std::uint8_t> mask(5);
  EXPECT_THROW(map_image({2, 2, values, mask}, Palette::grey, {0.0, 1.0}, 1, {}), IoError);
}

TEST(DrawOutline, SurroundsTheMaskAndNothingElse) {
  const std::vector<std::uint8_t> mask{0, 0, 0, 0, 1, 1, 0, 0, 0};  // 3 x 3: the middle and its right neighbour
  for (bool flip : {false, true}) {
    Image8 image(12, 12, black);
    draw_outline(image, mask, 3, 3, 4, {flip, flip}, white);
    std::size_t lit = 0;
    for (std::int64_t y = 0; y < 12; ++y)
      for (std::int64_t x = 0; x < 12; ++x) {
        if (image.at(x, y) != white) continue;
        ++lit;
        const std::int64_t stored_x = flip ? 11 - x : x;
        EXPECT_GE(stored_x, 4);
        EXPECT_TRUE(y >= 4 && y < 8) << y;
      }
    // The border of a rectangle of 8 x 4 pixels, one pixel wide.
    EXPECT_EQ(lit, 2u * 8 + 2u * 4 - 4) << "flip " << flip;
    EXPECT_EQ(image.at(flip ? 11 - 5 : 5, 5), black);
  }
}

TEST(Montage, SetsImagesInRows) {
  const std::vector<Image8> images(3, Image8(4, 2, white));
  const Image8 all = montage(images, 2, 1);
  EXPECT_EQ(all.width, 9);
  EXPECT_EQ(all.height, 5);
  EXPECT_EQ(all.at(0, 0), white);
  EXPECT_EQ(all.at(4, 0), black);  // gap
  EXPECT_EQ(all.at(5, 0), white);
  EXPECT_EQ(all.at(0, 3), white);
  EXPECT_EQ(all.at(5, 3), black);  // no fourth image
}

TEST(Montage, RefusesImagesOfDifferentSizes) {
  const std::vector<Image8> images{Image8(4, 2, white), Image8(4, 3, white)};
  EXPECT_THROW(montage(images, 2, 0), IoError);
  EXPECT_THROW(montage({}, 2, 0), IoError);
}

TEST(FilterImage, StretchesEachRowFromBlackToWhite) {
  const std::vector<float> weights{-1.0f, 0.0f, 1.0f, 5.0f, 5.0f, 5.0f};
  const Image8 image = filter_image(weights, 2, 3, 4);
  EXPECT_EQ(image.width, 12);
  EXPECT_EQ(image.height, 9);
  EXPECT_EQ(image.at(0, 0), black);
  EXPECT_EQ(image.at(4, 0), (Colour{128, 128, 128}));
  EXPECT_EQ(image.at(8, 0), white);
  EXPECT_EQ(image.at(8, 8), black);  // a constant filter has no contrast
  EXPECT_THROW(filter_image(weights, 2, 4, 4), IoError);
}

TEST(SlicesToShow, SpreadOverTheFilledSlices) {
  // Ten slices of four voxels: 2 to 7 are full, 8 has one voxel, the others none.
  std::vector<std::uint8_t> mask(40, 0);
  for (std::size_t i = 8; i < 32; ++i) mask[i] = 1;
  mask[32] = 1;
  EXPECT_EQ(slices_to_show(mask, 4, 1), (std::vector<std::int64_t>{5}));
  EXPECT_EQ(slices_to_show(mask, 4, 2), (std::vector<std::int64_t>{3, 7}));
  EXPECT_EQ(slices_to_show(mask, 4, 99), (std::vector<std::int64_t>{2, 3, 4, 5, 6, 7, 8}));
  EXPECT_TRUE(slices_to_show(std::vector<std::uint8_t>(40, 0), 4, 3).empty());
}

}  // namespace
}  // namespace perfpipe
