// The layouts of cohorts beside the plain one: sessions, flat folders, ISLES'24, ISLES'17.
#include "tests/e2e/bad_input.hpp"

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

using Layouts = BadInput;

// ---- Other layouts. ----

TEST_F(Layouts, SessionsAreSeriesOfTheirOwnWithTheSessionInAllNames) {
  write_patient(folder_, "sub-01_ses-1", small_series(1));
  write_patient(folder_, "sub-01_ses-2", small_series(2));
  EXPECT_TRUE(ended(run(), 0));
  for (const char* session : {"ses-1", "ses-2"})
    EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-01" / session / "perf" /
                           ("sub-01_" + std::string(session) + "_desc-bsvd_cbf.nii.gz")))
        << session;
}

TEST_F(Layouts, FlatFolders) {
  small_series(1).write(folder_, "cohort/Alice.nii");
  folder_.write("cohort/Alice.json", small_sidecar);
  mask().write(folder_, "cohort/Alice_mask.nii.gz");
  small_series(2).write(folder_, "cohort/Bob.nii.gz");
  EXPECT_TRUE(refused(run(), {"Bob.nii.gz", "no echo time", "Bob.json"}));
  folder_.write("cohort/Bob.json", small_sidecar);
  EXPECT_TRUE(ended(run(), 0));
  for (const char* name : {"sub-Alice", "sub-Bob"})
    EXPECT_TRUE(fs::exists(folder_ / "out/derivatives" / name / "perf" / (std::string(name) + "_desc-bsvd_cbf.nii.gz")))
        << name;
}

TEST_F(Layouts, Isles24WithTheVendorsMapsAsTargets) {
  // CT: HU that rise with the bolus; TE plays no part.
  NiftiBuilder image = small_series();
  image.value = [good = small_series().value](std::size_t i) {
    const double signal = good(i);
    return signal < 10.0 ? -1000.0 : 40.0 + (400.0 - signal) / 10.0;
  };
  const std::string session = "cohort/raw_data/sub-stroke0001/ses-01/";
  image.write(folder_, session + "sub-stroke0001_ses-01_ctp.nii.gz");
  fs::create_directories(folder_ / "cohort/raw_data/sub-stroke0002/ses-01");
  for (const char* map : {"cbf", "cbv", "mtt", "tmax"}) {
    NiftiBuilder vendor = mask();
    vendor.datatype = 16;
    vendor.write(folder_, session + "perfusion-maps/sub-stroke0001_ses-01_" + map + ".nii.gz");
  }
  const auto result = run({"--set", "bsvd_targets.method=file"});
  EXPECT_TRUE(ended(result, 0, {"sub-stroke0002/ses-01", "no series", "left out"}));
  EXPECT_TRUE(
      fs::exists(folder_ / "out/derivatives/sub-stroke0001/ses-01/perf/sub-stroke0001_ses-01_desc-target_cbf.nii.gz"));
}

TEST_F(Layouts, Isles17HasNoEchoTime) {
  NiftiBuilder image = small_series();
  image.dim = {16, 16, 2, 1, 45};
  image.pixdim = {1, 4, 4, 5, 0, 1.5, 0, 0};
  image.write(folder_, "cohort/training_1/VSD.Brain.XX.O.MR_4DPWI.127014/VSD.Brain.XX.O.MR_4DPWI.127014.nii");
  EXPECT_TRUE(refused(run(), {"MR_4DPWI.127014.nii", "no echo time", "cancels where the AIF comes from the same image",
                              "cohort.echo_time"}));
  EXPECT_TRUE(ended(run({"--set", "cohort.echo_time=0.05"}), 0));
  EXPECT_TRUE(fs::exists(folder_ / "out/derivatives/sub-training1/perf/sub-training1_desc-bsvd_cbf.nii.gz"));
}

}  // namespace
}  // namespace perfpipe
