#include "formats/nifti_geometry.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

NiftiHeader header_of(const NiftiBuilder& builder) {
  const std::string bytes = builder.bytes();
  Findings findings;
  const auto header =
      parse_nifti_header({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "a.nii", findings);
  findings.throw_if_any(ExitCode::input);
  return *header;
}

struct Outcome {
  std::optional<Affine> affine;
  Findings findings;
  std::vector<std::string> warnings;
};

Outcome affine_of(const NiftiBuilder& builder) {
  Outcome outcome;
  outcome.affine = nifti_affine(header_of(builder), "a.nii", outcome.findings, outcome.warnings);
  return outcome;
}

/// Affines compare to 1e-5 mm: the header's numbers are float32.
void expect_affine(const Affine& found, const Affine& expected) {
  for (std::size_t row = 0; row < 3; ++row)
    for (std::size_t column = 0; column < 4; ++column)
      EXPECT_NEAR(found[row][column], expected[row][column], 1e-5) << row << "," << column;
}

/// A qform with a quarter turn about z, qfac -1 and offsets.
NiftiBuilder with_qform() {
  NiftiBuilder builder;
  builder.sform_code = 0;
  builder.qform_code = 1;
  builder.pixdim = {-1, 2, 3, 5, 1, 0, 0, 0};
  builder.quaternion = {0, 0, std::sqrt(0.5), 10, 20, 30};
  return builder;
}
const Affine quarter_turn{{{0, -3, 0, 10}, {2, 0, 0, 20}, {0, 0, -5, 30}}};

TEST(NiftiGeometry, TakesTheSformFirst) {
  NiftiBuilder builder = with_qform();
  builder.sform_code = 2;
  const auto outcome = affine_of(builder);
  ASSERT_TRUE(outcome.affine);
  expect_affine(*outcome.affine, {{{2, 0, 0, -4}, {0, 2, 0, -3}, {0, 0, 5, -5}}});
  EXPECT_TRUE(outcome.warnings.empty());
}

TEST(NiftiGeometry, TakesTheQformWithAWarningWhenTheSformIsNotUsable) {
  for (const int flaw : {0, 1, 2}) {
    NiftiBuilder builder = with_qform();
    if (flaw > 0) builder.sform_code = 1;
    if (flaw == 1) builder.srow = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0};  // singular
    if (flaw == 2) builder.srow[5] = std::nan("");
    const auto outcome = affine_of(builder);
    ASSERT_TRUE(outcome.affine) << flaw;
    expect_affine(*outcome.affine, quarter_turn);
    EXPECT_TRUE(has_line(outcome.warnings, {"a.nii", flaw == 0 ? "sform_code = 0" : "not finite and regular", "qform"}))
        << all_lines(outcome.warnings);
  }
}

TEST(NiftiGeometry, TakesVoxelSizesWithAWarningWhenNeitherTransformIsUsable) {
  for (const int flaw : {0, 1, 2}) {
    NiftiBuilder builder = with_qform();
    if (flaw == 0) builder.qform_code = 0;
    if (flaw == 1) builder.quaternion[0] = 2.0;  // no unit quaternion has this
    if (flaw == 2) builder.quaternion[3] = HUGE_VAL;
    const auto outcome = affine_of(builder);
    ASSERT_TRUE(outcome.affine) << flaw;
    expect_affine(*outcome.affine, {{{2, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 5, 0}}});
    EXPECT_TRUE(has_line(outcome.warnings, {"a.nii", "voxel sizes alone", "orientation"}))
        << all_lines(outcome.warnings);
  }
}

TEST(NiftiGeometry, RefusesAHeaderWithoutAnyUsableGeometry) {
  for (const double size : {0.0, -2.0, std::nan("")}) {
    NiftiBuilder builder;
    builder.sform_code = 0;
    builder.pixdim[2] = size;
    const auto outcome = affine_of(builder);
    EXPECT_FALSE(outcome.affine);
    EXPECT_TRUE(has_line(outcome.findings.lines(), {"a.nii", "no usable geometry", "pixdim", "sform", "qform"}))
        << all_lines(outcome.findings.lines());
  }
}

TEST(NiftiGeometry, RefusesNumbersThatNoHeaderOfAMapCanHold) {
  NiftiBuilder builder = with_qform();
  builder.version = 2;
  builder.sform_code = 1;
  builder.srow[0] = 1e100;
  builder.quaternion[4] = 1e200;
  builder.pixdim[1] = 1e300;
  const auto outcome = affine_of(builder);
  EXPECT_FALSE(outcome.affine);
  EXPECT_TRUE(has_line(outcome.findings.lines(), {"sform_code = 1", "qform_code = 1", "1e+300"}))
      << all_lines(outcome.findings.lines());
}

TEST(NiftiGeometry, LengthUnitsBecomeMillimetres) {
  NiftiBuilder builder;
  builder.srow = {0.002, 0, 0, 0.01, 0, 0.002, 0, 0, 0, 0, 0.005, 0};
  builder.xyzt_units = 1 | 8;  // metres
  const auto outcome = affine_of(builder);
  ASSERT_TRUE(outcome.affine);
  expect_affine(*outcome.affine, {{{2, 0, 0, 10}, {0, 2, 0, 0}, {0, 0, 5, 0}}});
  EXPECT_NEAR(voxel_volume_ml(*outcome.affine), 0.02, 1e-7);  // 2 mm · 2 mm · 5 mm; float32 header
}

TEST(NiftiGeometry, CornerDistanceSeesShiftsAndTurns) {
  const std::array<std::int64_t, 3> extent{101, 51, 11};
  const Affine a = centred_affine(extent, {2, 2, 5});
  EXPECT_DOUBLE_EQ(corner_distance_mm(extent, a, a), 0.0);
  Affine shifted = a;
  shifted[1][3] += 0.3;
  EXPECT_NEAR(corner_distance_mm(extent, a, shifted), 0.3, 1e-12);  // double rounding
  Affine scaled = a;
  scaled[0][0] = 2.001;  // 100 voxels on, 0.1 mm off at the far corner
  EXPECT_NEAR(corner_distance_mm(extent, a, scaled), 0.1, 1e-9);
}

TEST(NiftiGeometry, NewHeadersDescribeTheirAffine) {
  const std::array<std::int64_t, 3> extent{10, 20, 5};
  const Affine affine = centred_affine(extent, {1.5, 2.0, 5.0});
  const NiftiHeader header = make_nifti_header(extent, 40, 1.8, affine);
  EXPECT_EQ(header.extent(), extent);
  EXPECT_EQ(header.frames(), 40);
  EXPECT_DOUBLE_EQ(header.frame_distance_s().value(), 1.8);
  Findings findings;
  std::vector<std::string> warnings;
  EXPECT_EQ(nifti_affine(header, "new", findings, warnings).value(), affine);
  EXPECT_TRUE(warnings.empty());
  // The centre of the grid is the origin.
  EXPECT_DOUBLE_EQ(affine[0][0] * 4.5 + affine[0][3], 0.0);
  EXPECT_DOUBLE_EQ(voxel_volume_ml(affine), 0.015);
  EXPECT_EQ(make_nifti_header(extent, 1, 0.0, affine).dim[0], 3);
}

}  // namespace
}  // namespace perfpipe
