#include "formats/value_check.hpp"

#include "core/random.hpp"
#include "tests/formats/nifti_builder.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::size_t nx = 16, ny = 16, nz = 4, frames = 60, volume = nx * ny * nz;

/// A bolus that arrives in frame 15 and peaks 6 frames later with 1.
double bolus(std::size_t t) {
  if (t < 15) return 0.0;
  const double x = (static_cast<double>(t) - 15.0) / 6.0;
  return std::pow(x, 3.0) * std::exp(3.0 * (1.0 - x));
}

bool in_brain(std::size_t voxel) {
  const std::size_t x = voxel % nx, y = voxel / nx % ny;
  return x >= 4 && x < 12 && y >= 4 && y < 12;
}
constexpr std::int64_t brain_voxels = 8 * 8 * 4;

/// Signal of a voxel at a time, without noise.
double mr_signal(std::size_t voxel, std::size_t t) {
  if (!in_brain(voxel)) return 20.0;
  return (t == 0 ? 1.3 : 1.0) * 400.0 * std::exp(-0.4 * bolus(t));  // the first frame is out of steady state
}

class ValueCheckTest : public testing::Test {
 protected:
  using Curve = std::function<double(std::size_t voxel, std::size_t t)>;

  /// Writes the series with this relative noise (per sample, of 400), the same at every call.
  ValueCheck check(const Curve& curve, double noise = 0.0, bool with_mask = true) {
    NiftiBuilder builder;
    builder.dim = {nx, ny, nz, frames};
    auto random = std::make_shared<Random>(1, "value check");
    builder.value = [=](std::size_t i) { return curve(i % volume, i / volume) + 400.0 * noise * random->normal(); };
    series_.image = builder.write(folder_, "a_dsc.nii.gz");
    series_.mask.clear();
    if (with_mask) {
      NiftiBuilder mask;
      mask.dim = {nx, ny, nz};
      mask.datatype = 2;
      mask.value = [](std::size_t i) { return in_brain(i) ? 1.0 : 0.0; };
      series_.mask = mask.write(folder_, "mask.nii");
    }
    return check_series_values(series_);
  }

  TempFolder folder_;
  Series series_;
};

void expect_clean(const ValueCheck& check) {
  EXPECT_TRUE(check.findings.empty()) << all_lines(check.findings.lines());
  EXPECT_TRUE(check.warnings.empty()) << all_lines(check.warnings);
  EXPECT_EQ(check.bad_voxels, 0);
  EXPECT_EQ(check.mask_voxels, brain_voxels);
}

TEST_F(ValueCheckTest, AGoodSeriesPassesWithAndWithoutAMask) {
  for (const double noise : {0.0, 0.02})
    for (const bool with_mask : {true, false}) {
      SCOPED_TRACE(testing::Message() << noise << " " << with_mask);
      expect_clean(check(mr_signal, noise, with_mask));
    }
}

TEST_F(ValueCheckTest, GivesTheSameAnswerInSlabsOfAnyThickness) {
  const auto bad = [](std::size_t voxel, std::size_t t) {
    return voxel % 17 == 0 && t == 30 ? 0.0 : mr_signal(voxel, t);
  };
  const ValueCheck whole = check(bad);
  const ValueCheck thin = check_series_values(series_, 1);
  EXPECT_GT(whole.bad_voxels, 0);
  EXPECT_EQ(thin.bad_voxels, whole.bad_voxels);
  EXPECT_EQ(thin.mask_voxels, whole.mask_voxels);
  EXPECT_EQ(thin.warnings, whole.warnings);
}

TEST_F(ValueCheckTest, OnCtSoftTissueIsJudgedWithoutAMask) {
  series_.modality = Modality::ct;
  // Air around a brain, and bone in the place of half of the air: Otsu's threshold would leave bone alone.
  const auto ct = [](std::size_t voxel, std::size_t t) {
    return in_brain(voxel) ? 36.0 + 8.0 * bolus(t) : voxel % 2 == 0 ? -1000.0 : 1200.0;
  };
  expect_clean(check(ct, 0.001, false));
  const auto flat = [](std::size_t voxel, std::size_t t) {
    return in_brain(voxel) ? 36.0 : voxel % 2 == 0 ? -1000.0 : 1200.0 + 5.0 * bolus(t);
  };
  EXPECT_TRUE(has_line(check(flat, 0.001, false).findings.lines(), {"no bolus", "soft tissue (5 to 90 HU)"}))
      << "a bolus in bone is none";
}

TEST_F(ValueCheckTest, WarnsAboveOnePercentOfBadVoxels) {
  for (const double value : {0.0, -5.0, std::nan(""), HUGE_VAL}) {
    const auto some = [=](std::size_t voxel, std::size_t t) {
      return voxel / volume == 0 && voxel % nx == 4 && voxel / nx % ny == 4 && t == 30 ? value : mr_signal(voxel, t);
    };
    const ValueCheck found = check(some);  // one of 64 in every slice: 1.56 %
    EXPECT_TRUE(found.findings.empty()) << all_lines(found.findings.lines());
    EXPECT_EQ(found.bad_voxels, 4);
    EXPECT_TRUE(has_line(found.warnings, {"a_dsc.nii.gz", "4 of 256 voxels of its mask (1.56 %)",
                                          "not finite, zero, negative or saturated", "left out"}))
        << all_lines(found.warnings);
  }
}

TEST_F(ValueCheckTest, ASampleAtTheLimitOfTheFilesTypeIsSaturated) {
  const auto clipped = [](std::size_t voxel, std::size_t t) {
    return std::clamp(voxel % 8 == 0 ? 80.0 * mr_signal(voxel, t) : mr_signal(voxel, t), 0.0, 32767.0);
  };
  EXPECT_EQ(check(clipped).bad_voxels, 0) << "float has no such limit";
  NiftiBuilder builder;
  builder.dim = {nx, ny, nz, frames};
  builder.datatype = 4;  // int16
  builder.value = [&](std::size_t i) { return clipped(i % volume, i / volume); };
  series_.image = builder.write(folder_, "b_dsc.nii.gz");
  const auto found = check_series_values(series_);
  EXPECT_EQ(found.bad_voxels, brain_voxels / 8) << "32000 and its bright first frame";
}

TEST_F(ValueCheckTest, SaysNothingUpToOnePercentOrOutsideTheMask) {
  const auto few = [](std::size_t voxel, std::size_t t) {
    if (!in_brain(voxel)) return std::nan("");
    return voxel == 4 * nx + 4 && t == 30 ? 0.0 : mr_signal(voxel, t);
  };
  const ValueCheck found = check(few);
  EXPECT_EQ(found.bad_voxels, 1);
  EXPECT_TRUE(found.warnings.empty()) << all_lines(found.warnings);
  EXPECT_TRUE(found.findings.empty());
}

TEST_F(ValueCheckTest, RefusesMoreThanHalfBadVoxels) {
  const auto half = [](std::size_t extra) {
    return
        [=](std::size_t voxel, std::size_t t) { return voxel % nx < 8 + extra && t == 30 ? 0.0 : mr_signal(voxel, t); };
  };
  EXPECT_TRUE(check(half(0)).findings.empty()) << "exactly half";
  const ValueCheck found = check(half(1));
  EXPECT_TRUE(has_line(found.findings.lines(), {"a_dsc.nii.gz", "160 of 256", "(62.5 %)", "at most 50 %"}))
      << all_lines(found.findings.lines());
}

TEST_F(ValueCheckTest, RefusesConstantSeries) {
  for (const bool with_mask : {true, false}) {
    for (const double value : {0.0, 400.0}) {
      const ValueCheck found = check([=](std::size_t, std::size_t) { return value; }, 0.0, with_mask);
      EXPECT_TRUE(has_line(found.findings.lines(), {"a_dsc.nii.gz", "constant in time"}))
          << all_lines(found.findings.lines());
    }
    const ValueCheck still = check([](std::size_t voxel, std::size_t) { return mr_signal(voxel, 5); }, 0.0, with_mask);
    EXPECT_TRUE(has_line(still.findings.lines(), {"constant in time"})) << all_lines(still.findings.lines());
  }
}

TEST_F(ValueCheckTest, RefusesSeriesWithoutABolus) {
  const auto still = [](std::size_t voxel, std::size_t) { return mr_signal(voxel, 5); };
  for (const bool with_mask : {true, false}) {
    const ValueCheck found = check(still, 0.02, with_mask);
    EXPECT_TRUE(
        has_line(found.findings.lines(), {"a_dsc.nii.gz", "no bolus", "3 SD of its baseline", "baseline (frames)"}))
        << all_lines(found.findings.lines());
  }
  // A rise of the signal is no passage of a T2* agent.
  const auto rising = [](std::size_t voxel, std::size_t t) {
    return in_brain(voxel) ? 400.0 * (1 + 0.4 * bolus(t)) : 20.0;
  };
  EXPECT_TRUE(has_line(check(rising, 0.02).findings.lines(), {"no bolus"}));
}

TEST_F(ValueCheckTest, FindsABolusOfAFewPercentInNoise) {
  const auto faint = [](std::size_t voxel, std::size_t t) {
    return in_brain(voxel) ? 400.0 * std::exp(-0.03 * bolus(t)) : 20.0;
  };
  EXPECT_TRUE(check(faint, 0.02).findings.empty());
}

TEST_F(ValueCheckTest, FindsABolusThatFallsByLessThanTheBaselinesTolerance) {
  // The mean of a whole brain at TR 2 s: it falls by 5.8 %, slowly, and does not come back. Within 5 % of the running
  // mean lie its first frames, which would make the baseline as restless as the bolus is deep.
  const std::vector<double> mean{1171.7, 977.4, 892.8, 892.8, 892.8, 892.8, 890.5, 882.0, 867.0, 849.8,
                                 841.2,  843.7, 852.5, 862.5, 871.0, 876.8, 880.2, 881.6, 881.8, 881.4};
  expect_clean(check(
      [&](std::size_t voxel, std::size_t t) { return in_brain(voxel) ? mean[std::min(t, mean.size() - 1)] : 20.0; }));
}

TEST_F(ValueCheckTest, CtMayBeZeroOrNegativeAndRises) {
  series_.modality = Modality::ct;
  const auto ct = [](std::size_t voxel, std::size_t t) {
    return in_brain(voxel) ? (voxel % 5 == 0 ? -2.0 : 35.0) + 12.0 * bolus(t) : -1000.0;
  };
  expect_clean(check(ct, 0.005, true));  // noise of 2 HU
  const auto soft = check(ct, 0.005, false);
  EXPECT_TRUE(soft.findings.empty());
  EXPECT_LT(soft.mask_voxels, brain_voxels) << "fluid is no soft tissue, and is filled into the mask later";
  const auto still = [&](std::size_t voxel, std::size_t) { return ct(voxel, 0); };
  EXPECT_TRUE(has_line(check(still, 0.005).findings.lines(), {"no bolus"}));
  const auto broken = [&](std::size_t voxel, std::size_t t) { return t == 7 ? std::nan("") : ct(voxel, t); };
  EXPECT_TRUE(has_line(check(broken).findings.lines(), {"256 of 256", "not finite or saturated;"}))
      << "zero is not named for CT";
}

TEST_F(ValueCheckTest, ConcentrationsLieAroundZero) {
  series_.kind = SeriesKind::concentration;
  const auto concentration = [](std::size_t voxel, std::size_t t) { return in_brain(voxel) ? 10.0 * bolus(t) : 0.0; };
  for (const bool with_mask : {true, false}) expect_clean(check(concentration, 0.001, with_mask));
}

TEST_F(ValueCheckTest, TheUsersBaselineIsTaken) {
  series_.baseline_frames = 12;
  expect_clean(check([](std::size_t voxel, std::size_t t) { return mr_signal(voxel, t == 0 ? 1 : t); }, 0.02));
}

}  // namespace
}  // namespace perfpipe
