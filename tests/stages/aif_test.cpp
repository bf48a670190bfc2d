// The aif stage on curves in a store: what each way of giving an AIF leaves.
#include "formats/nifti_image.hpp"
#include "stages/maps.hpp"
#include "tests/stages/stage_run.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::int64_t samples = 70, nx = 12, ny = 10;

/// One slice: arteries (peak 40, half diluted) in the first row, a sinus (later, of full area) in the last, tissue
/// between.
float curve_at(std::int64_t y, std::int64_t t) {
  const double arrival = y == 0 ? 10.0 : y == ny - 1 ? 14.0 : 12.0, rise = y == 0 ? 5.0 : y == ny - 1 ? 6.0 : 8.0;
  const double peak = y == 0 ? 40.0 : y == ny - 1 ? 70.0 : 5.0;
  const double x = std::max(0.0, (static_cast<double>(t) - arrival) / rise);
  return static_cast<float>(peak * std::pow(x * std::exp(1.0 - x), 3.0));
}

void add_curves(StageRun& run) {
  run.add(patient_task("interpolation", "sub-01"), {"tissue_curves"}, [](ArtifactWriter& writer) {
    std::vector<float> curves;
    for (std::int64_t v = 0; v < nx * ny; ++v)
      for (std::int64_t t = 0; t < samples; ++t) curves.push_back(curve_at(v / nx, t));
    writer.write<float>(tissue_curves_spec(), {1, ny, nx, samples}, curves);
    writer.set_metadata({{"start_s", 2.0}, {"dt_s", 1.0}});
  });
  run.add(patient_task("import", "sub-01"), {"brain_mask"}, [](ArtifactWriter& writer) {
    std::vector<std::uint8_t> mask(nx * ny, 1);
    mask[0] = 0;
    writer.write<std::uint8_t>(brain_mask_spec(), {1, ny, nx}, mask);
  });
}

Cohort one_patient() {
  Cohort cohort;
  Series series;
  series.name = series.subject = "sub-01";
  series.image = "sub-01_dsc.nii.gz";
  series.extent = {nx, ny, 1};
  cohort.series.push_back(series);
  return cohort;
}

struct AifRun : testing::Test {
  StageRun run{one_patient()};
  AifRun() { add_curves(run); }
  ArtifactReader aif(const std::string& options) {
    auto task = patient_task("aif", "sub-01");
    task.series = 0;
    return run.run(*make_stage("aif", options), task);
  }
  std::vector<std::string> checked(const std::string& options) {
    Findings findings;
    make_stage("aif", options)->check(one_patient(), findings);
    return findings.lines();
  }
};

TEST_F(AifRun, VoxelsAreXYZFromZero) {
  const auto left = aif("{method: voxels, voxels: [[3, 0, 0], [4, 0, 0]]}");
  EXPECT_EQ(left.read<std::int32_t>("aif_voxels"), (std::vector<std::int32_t>{3, 0, 0, 4, 0, 0}));
  const auto curve = left.read<float>("aif");
  for (std::int64_t t = 0; t < samples; ++t) EXPECT_NEAR(curve[static_cast<std::size_t>(t)], curve_at(0, t), 1e-5);
  EXPECT_EQ(left.metadata().at("time_to_peak_s"), 17.0) << "2 s into the series the grid starts";
  EXPECT_NEAR(left.metadata().at("gamma_variate").at("arrival_s").get<double>(), 12.0, 0.1);
  EXPECT_TRUE(left.metadata().at("warnings").empty());
}

TEST_F(AifRun, EachPatientHasItsOwnVoxels) {
  const auto left = aif("{method: voxels, voxels: {sub-02: [[1, 1, 0]], sub-01: [[5, 0, 0]]}}");
  EXPECT_EQ(left.read<std::int32_t>("aif_voxels"), (std::vector<std::int32_t>{5, 0, 0}));
  EXPECT_EQ(checked("{method: voxels, voxels: {sub-02: [[1, 1, 0]]}}").size(), 1u);
  EXPECT_EQ(checked("{method: voxels, voxels: [[12, 0, 0]]}").size(), 1u) << "12 voxels in x: 0 to 11";
  EXPECT_TRUE(checked("{method: voxels, voxels: [[11, 9, 0]]}").empty());
}

TEST_F(AifRun, VoxelsOutsideTheBrainAreLeftOutWithAWarning) {
  const auto left = aif("{method: voxels, voxels: [[0, 0, 0], [1, 0, 0]]}");
  EXPECT_EQ(left.read<std::int32_t>("aif_voxels"), (std::vector<std::int32_t>{1, 0, 0}));
  EXPECT_EQ(left.metadata().at("warnings").size(), 1u);
  EXPECT_THROW(aif("{method: voxels, voxels: [[0, 0, 0]]}"), InputError);
}

TEST_F(AifRun, ARegionIsAMaskOfTheSeries) {
  TempFolder folder;
  std::vector<std::uint8_t> mask(nx * ny, 0);
  mask[7] = mask[8] = 1;
  write_nifti_volume(folder / "sub-01_artery.nii", std::span<const std::uint8_t>(mask),
                     make_nifti_header({nx, ny, 1}, 1, 0.0, centred_affine({nx, ny, 1}, {1, 1, 1})), "roi");
  const std::string options = "{method: roi, roi: '" + (folder / "{}_artery.nii").string() + "'}";
  EXPECT_TRUE(checked(options).empty());
  EXPECT_EQ(aif(options).read<std::int32_t>("aif_voxels"), (std::vector<std::int32_t>{7, 0, 0, 8, 0, 0}));
  EXPECT_EQ(checked("{method: roi}").size(), 1u) << "which mask?";
  EXPECT_EQ(checked("{method: roi, roi: nowhere.nii}").size(), 1u);
}

TEST_F(AifRun, AVeinScalesUpAnArteryThatFillsItsVoxelsInPart) {
  const auto plain = aif("{method: mouridsen}");
  const auto scaled = aif("{method: mouridsen, vof: auto}");
  const auto area = [](const ArtifactReader& reader) {
    double sum = 0.0;
    for (float c : reader.read<float>("aif")) sum += c;
    return sum;
  };
  double vein = 0.0;
  for (std::int64_t t = 0; t < samples; ++t) vein += curve_at(ny - 1, t);
  EXPECT_NEAR(area(scaled), vein, 1e-3 * vein);
  EXPECT_NEAR(scaled.metadata().at("vof_scale").get<double>(), vein / area(plain), 1e-4);
  EXPECT_EQ(plain.metadata().at("vof_scale"), 1.0);
}

TEST_F(AifRun, AVeinOfLessAreaScalesNothing) {
  const auto left = aif("{method: voxels, voxels: [[3, 9, 0]], vof: auto}");
  EXPECT_EQ(left.metadata().at("vof_scale"), 1.0);
  ASSERT_GE(left.metadata().at("warnings").size(), 2u) << "none behind it; and it peaks after the brain does";
}

}  // namespace
}  // namespace perfpipe
