// The promise that results do not depend on how many ranks there are, how they share the cores, or on memory.
#include "tests/e2e/job_files.hpp"

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

class SameBits : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TempFolder>();
    write_small_cohort(*folder, 2);
    write_patient(*folder, "sub-03_ses-1", small_series(3));
    write_patient(*folder, "sub-03_ses-2", small_series(4));
    folder->write("job.yaml", cross_validation_job);
    ASSERT_TRUE(ended(run_perfpipe(*folder, {"job.yaml"}), 0));
    serial = take_results();
  }
  static void TearDownTestSuite() { folder.reset(); }

  using Results = std::map<std::string, std::string>;

  /// Without the report, which shows the job's settings.
  static Results without_report(Results results) {
    std::erase_if(results, [](const auto& file) { return file.first.find("report/") != std::string::npos; });
    return results;
  }
  /// What the last run has left; the next one starts anew in the same folder (outputs may name it).
  static Results take_results() {
    auto results = results_in(*folder / "out");
    fs::remove_all(*folder / "out");
    return results;
  }

  static std::unique_ptr<TempFolder> folder;
  static Results serial;
};
std::unique_ptr<TempFolder> SameBits::folder;
SameBits::Results SameBits::serial;

TEST_F(SameBits, AllKindsOfResultsAreCompared) {
  for (const char* file :
       {"store/import/sub-01.h5", "store/training/fold-sub-03_tmax.h5", "weights/without-sub-02/mtt.safetensors",
        "derivatives/sub-01/perf/sub-01_desc-cnn_cbf.nii.gz",
        "derivatives/sub-03/ses-2/perf/sub-03_ses-2_desc-bsvd_tmax.nii.gz",
        "derivatives/sub-02/perf/sub-02_label-tmax_desc-cnn_mask.nii.gz", "tables/armse.csv", "report/index.html"})
    EXPECT_TRUE(serial.contains(file)) << file;
  // Leave-one-patient-out holds out the subject: no fold of its own for a session.
  EXPECT_FALSE(serial.contains("store/training/fold-sub-03_ses-1_tmax.h5"));
}

class SameBitsOnRanks : public SameBits, public testing::WithParamInterface<int> {};

TEST_P(SameBitsOnRanks, AsWithoutALauncher) {
  ASSERT_TRUE(ended(run_ranks(*folder, GetParam(), {"job.yaml"}, 240.0), 0));
  EXPECT_TRUE(same_results(serial, take_results()));
}

INSTANTIATE_TEST_SUITE_P(Ranks, SameBitsOnRanks, testing::Values(1, 2, 4, 8));

TEST_F(SameBits, WithMoreThreads) {
  ASSERT_TRUE(ended(run_perfpipe(*folder, {"job.yaml", "--set", "parallel.threads=3"}), 0));
  EXPECT_TRUE(same_results(without_report(serial), without_report(take_results())));
}

TEST_F(SameBits, WithLittleMemory) {
  // A series of 1.1 MiB as float32, so that 1 MiB of slab memory takes several slabs.
  TempFolder large;
  for (unsigned p = 1; p <= 3; ++p) {
    NiftiBuilder image = small_series(p);
    image.dim = {16, 16, 24, 45};
    image.value = [good = small_series(p).value](std::size_t i) {
      const std::size_t t = i / (16 * 16 * 24), place = i % (16 * 16 * 24);
      return good(t * 512 + place % 512) + 0.01 * static_cast<double>(place / 512);
    };
    write_patient(large, "sub-0" + std::to_string(p), image, small_sidecar, p == 1 ? ".nii.gz" : ".nii");
  }
  large.write("job.yaml", cross_validation_job);
  ASSERT_TRUE(ended(run_perfpipe(large, {"job.yaml"}), 0));
  const auto plenty = results_in(large / "out");
  fs::remove_all(large / "out");
  ASSERT_TRUE(ended(run_perfpipe(large, {"job.yaml", "--set", "parallel.slab_memory=1"}), 0));
  EXPECT_TRUE(same_results(without_report(plenty), without_report(results_in(large / "out"))));
}

}  // namespace
}  // namespace perfpipe
