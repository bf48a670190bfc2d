#include "formats/nifti_header.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::span<const std::uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::optional<NiftiHeader> parse(const NiftiBuilder& builder, Findings& findings) {
  const std::string bytes = builder.bytes();
  return parse_nifti_header(as_bytes(bytes), "a.nii", findings);
}

void expect_refused(const NiftiBuilder& builder, const std::vector<std::string>& pieces) {
  Findings findings;
  EXPECT_FALSE(parse(builder, findings).has_value());
  EXPECT_TRUE(has_line(findings.lines(), pieces)) << all_lines(findings.lines());
}

class NiftiHeaderVersions : public testing::TestWithParam<std::pair<int, bool>> {};

TEST_P(NiftiHeaderVersions, DecodesEveryField) {
  NiftiBuilder builder;
  std::tie(builder.version, builder.big_endian) = GetParam();
  builder.dim = {5, 6, 7, 8};
  builder.datatype = 512;
  builder.pixdim = {-1, 1.5, 2.5, 3.5, 1.25, 0, 0, 0};
  builder.scl_slope = 0.5;
  builder.scl_inter = -3;
  builder.xyzt_units = 2 | 16;
  builder.qform_code = 2;
  builder.sform_code = 3;
  builder.quaternion = {0.125, 0.25, 0.5, 7, 8, 9};
  builder.srow = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  builder.descrip = "a description";
  Findings findings;
  const auto header = parse(builder, findings);
  ASSERT_TRUE(header) << all_lines(findings.lines());
  EXPECT_EQ(header->version, builder.version);
  EXPECT_EQ(header->swapped, builder.big_endian);
  EXPECT_EQ(header->dim, (std::array<std::int64_t, 8>{4, 5, 6, 7, 8, 1, 1, 1}));
  EXPECT_EQ(header->datatype, NiftiType::uint16);
  EXPECT_EQ(header->bitpix, 16);
  EXPECT_EQ(header->pixdim, builder.pixdim);  // all values are exact in float32
  EXPECT_EQ(header->vox_offset, builder.version == 1 ? 352 : 544);
  EXPECT_EQ(header->scl_slope, 0.5);
  EXPECT_EQ(header->scl_inter, -3.0);
  EXPECT_EQ(header->xyzt_units, 18);
  EXPECT_EQ(header->qform_code, 2);
  EXPECT_EQ(header->sform_code, 3);
  EXPECT_EQ(header->quatern_b, 0.125);
  EXPECT_EQ(header->quatern_c, 0.25);
  EXPECT_EQ(header->quatern_d, 0.5);
  EXPECT_EQ(header->qoffset_x, 7.0);
  EXPECT_EQ(header->qoffset_y, 8.0);
  EXPECT_EQ(header->qoffset_z, 9.0);
  EXPECT_EQ(header->srow, (Affine{{{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}}}));
  EXPECT_EQ(header->descrip, "a description");
}

INSTANTIATE_TEST_SUITE_P(All, NiftiHeaderVersions,
                         testing::Values(std::pair{1, false}, std::pair{1, true}, std::pair{2, false},
                                         std::pair{2, true}));

TEST(NiftiHeader, TakesEveryAcceptedTypeAndRefusesOthersByName) {
  for (const int type : {2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280}) {
    NiftiBuilder builder;
    builder.datatype = type;
    Findings findings;
    EXPECT_TRUE(parse(builder, findings)) << type << all_lines(findings.lines());
  }
  const std::vector<std::pair<int, std::string>> refused{{1, "binary"},  {32, "complex"},    {1792, "complex"},
                                                         {128, "RGB"},   {1536, "float128"}, {2304, "RGB"},
                                                         {77, "float64"}};
  for (const auto& [type, word] : refused) {
    NiftiBuilder builder;
    builder.datatype = type;
    expect_refused(builder, {"a.nii", "datatype = " + std::to_string(type), word, "8 to 64 bit integers"});
  }
}

TEST(NiftiHeader, RefusesBitpixThatDoesNotFitTheType) {
  NiftiBuilder builder;
  builder.datatype = 4;
  builder.bitpix = 32;
  expect_refused(builder, {"a.nii", "bitpix = 32", "datatype 4 has 16 bits"});
}

TEST(NiftiHeader, RefusesVoxOffsetInsideTheHeaderOrNotWhole) {
  NiftiBuilder builder;
  for (const double offset : {0.0, 351.0, 352.5, std::nan(""), HUGE_VAL, -352.0}) {
    builder.vox_offset = offset;
    expect_refused(builder, {"a.nii", "vox_offset = ", "at least 352"});
  }
  builder.version = 2;
  builder.vox_offset = 539;
  expect_refused(builder, {"vox_offset = 539", "at least 540"});
  builder.vox_offset = 540;
  Findings findings;
  EXPECT_TRUE(parse(builder, findings));
}

TEST(NiftiHeader, RefusesScalingThatIsNotFinite) {
  NiftiBuilder builder;
  builder.scl_slope = std::nan("");
  expect_refused(builder, {"a.nii", "scl_slope = nan", "finite", "slope 0 for unscaled"});
  builder.scl_slope = 1;
  builder.scl_inter = HUGE_VAL;
  expect_refused(builder, {"scl_inter = inf"});
}

TEST(NiftiHeader, RefusesPairsAnalyzeAndOtherFiles) {
  NiftiBuilder builder;
  builder.magic = "ni1";
  expect_refused(builder, {"ni1", ".hdr/.img pair", "convert"});
  builder.magic = "xyz";
  expect_refused(builder, {"ANALYZE", "convert"});
  Findings findings;
  const std::string text(600, 'x');
  EXPECT_FALSE(parse_nifti_header(as_bytes(text), "a.nii", findings));
  EXPECT_TRUE(has_line(findings.lines(), {"a.nii", "sizeof_hdr", "348", "540"})) << all_lines(findings.lines());
  Findings of_short;
  EXPECT_FALSE(parse_nifti_header(as_bytes(text).first(100), "a.nii", of_short));
  EXPECT_TRUE(has_line(of_short.lines(), {"holds 100 bytes", "348"})) << all_lines(of_short.lines());
}

TEST(NiftiHeader, RefusesNiftiTwoShorterThanItsHeader) {
  NiftiBuilder builder;
  builder.version = 2;
  const std::string bytes = builder.bytes().substr(0, 400);
  Findings findings;
  EXPECT_FALSE(parse_nifti_header(as_bytes(bytes), "a.nii", findings));
  EXPECT_TRUE(has_line(findings.lines(), {"holds 400 bytes", "540"})) << all_lines(findings.lines());
}

TEST(NiftiHeader, RefusesDimensionsThatCannotBe) {
  NiftiBuilder builder;
  builder.value = [](std::size_t) { return 0.0; };
  builder.dim = {4, -3, 2};
  expect_refused(builder, {"dim[2] = -3", "1 to 32767"});
  builder.dim = {4, 0, 2};
  expect_refused(builder, {"dim[2] = 0"});
  builder.dim = {};
  expect_refused(builder, {"dim[0] = 0", "1 to 7"});
  builder.dim = {1, 1, 1, 1, 1, 1, 1, 1};
  expect_refused(builder, {"dim[0] = 8", "1 to 7"});
  builder.dim = {2, 2, 2, 3, 4};
  expect_refused(builder, {"dim = 2 x 2 x 2 x 3 x 4", "(X,Y,Z,1,T)"});
  builder.dim = {2, 2, 2, 1, 4, 2};
  expect_refused(builder, {"2 x 2 x 2 x 1 x 4 x 2"});
}

TEST(NiftiHeader, RefusesNiftiTwoDimensionsThatNiftiOneCannotHold) {
  NiftiBuilder builder;
  builder.version = 2;
  std::string bytes = builder.bytes();
  const std::int64_t huge = std::int64_t{1} << 40;
  std::memcpy(bytes.data() + 24, &huge, 8);  // dim[1]
  Findings findings;
  EXPECT_FALSE(parse_nifti_header(as_bytes(bytes), "a.nii", findings));
  EXPECT_TRUE(has_line(findings.lines(), {"dim[1] = 1099511627776", "32767"})) << all_lines(findings.lines());
}

TEST(NiftiHeader, ReportsAllFindingsAtOnce) {
  NiftiBuilder builder;
  builder.bitpix = 8;
  builder.vox_offset = 0;
  builder.scl_slope = std::nan("");
  Findings findings;
  EXPECT_FALSE(parse(builder, findings));
  EXPECT_EQ(findings.lines().size(), 3u) << all_lines(findings.lines());
}

TEST(NiftiHeader, FramesAndTheirDistanceInFourAndFiveDimensions) {
  NiftiBuilder builder;
  builder.pixdim = {1, 2, 2, 5, 1500, 7, 0, 0};
  builder.xyzt_units = 2 | 16;
  builder.dim = {2, 2, 2, 12};
  Findings findings;
  auto header = parse(builder, findings);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->frames(), 12);
  EXPECT_DOUBLE_EQ(header->frame_distance_s().value(), 1.5);
  builder.dim = {2, 2, 2, 1, 12};
  builder.xyzt_units = 2 | 8;
  header = parse(builder, findings);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->frames(), 12);
  EXPECT_DOUBLE_EQ(header->frame_distance_s().value(), 7.0);
  builder.dim = {2, 2, 2};
  header = parse(builder, findings);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->frames(), 1);
}

TEST(NiftiHeader, FrameDistanceNeedsAUnitOfTimeAndAPositiveNumber) {
  NiftiHeader header;
  header.dim = {4, 2, 2, 2, 12, 1, 1, 1};
  header.pixdim[4] = 2e6;
  header.xyzt_units = 2 | 24;
  EXPECT_DOUBLE_EQ(header.frame_distance_s().value(), 2.0);
  for (const int unit : {2, 2 | 32, 2 | 40}) {
    header.xyzt_units = unit;
    EXPECT_FALSE(header.frame_distance_s()) << unit;
  }
  header.xyzt_units = 2 | 8;
  for (const double distance : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    header.pixdim[4] = distance;
    EXPECT_FALSE(header.frame_distance_s()) << distance;
  }
}

TEST(NiftiHeader, PatchCarriesGeometryUnitsAndTimeIntoAnotherHeader) {
  NiftiBuilder source;
  source.version = 2;
  source.big_endian = true;
  source.dim = {2, 2, 2, 1, 12};
  source.pixdim = {-1, 1.5, 2.5, 3.5, 0, 1250, 0, 0};
  source.xyzt_units = 2 | 16;
  source.qform_code = 2;
  source.sform_code = 4;
  source.quaternion = {0.125, 0.25, 0.5, 7, 8, 9};
  source.srow = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.5};
  Findings findings;
  const auto like = parse(source, findings);
  ASSERT_TRUE(like);
  NiftiBuilder target;
  target.scl_slope = 3;
  target.scl_inter = 4;
  std::string bytes = target.bytes();
  patch_nifti_header({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}, *like, std::string(200, 'd'));
  const auto patched = parse_nifti_header(as_bytes(bytes), "a.nii", findings);
  ASSERT_TRUE(patched) << all_lines(findings.lines());
  EXPECT_EQ(patched->dim, (std::array<std::int64_t, 8>{3, 4, 3, 2, 1, 1, 1, 1}));
  EXPECT_EQ(patched->pixdim, (std::array<double, 8>{-1, 1.5, 2.5, 3.5, 1250, 0, 0, 0}));
  EXPECT_EQ(patched->xyzt_units, 18);
  EXPECT_EQ(patched->qform_code, 2);
  EXPECT_EQ(patched->sform_code, 4);
  EXPECT_EQ(patched->quatern_d, 0.5);
  EXPECT_EQ(patched->qoffset_z, 9.0);
  EXPECT_EQ(patched->srow, like->srow);
  EXPECT_EQ(patched->scl_slope, 1.0);
  EXPECT_EQ(patched->scl_inter, 0.0);
  EXPECT_EQ(patched->descrip, std::string(79, 'd'));
}

}  // namespace
}  // namespace perfpipe
