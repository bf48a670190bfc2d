// perfpipe verify and perfpipe validate.
#include "tests/e2e/job_files.hpp"

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

class Verify : public testing::Test {
 protected:
  Verify() {
    write_small_cohort(folder_);
    folder_.write("job.yaml", maps_job);
  }
  CommandResult verify() { return run_perfpipe(folder_, {"verify", "out"}); }
  void damage(const std::string& file, std::size_t from_the_end) {
    auto bytes = file_bytes(folder_ / file);
    auto& byte = bytes.at(bytes.size() - from_the_end);
    byte = static_cast<char>(byte ^ 1);
    folder_.write(file, bytes);
  }
  TempFolder folder_;
};

TEST_F(Verify, NamesEveryDamagedArtifactAndFileAndARunMendsThem) {
  ASSERT_TRUE(ended(run_perfpipe(folder_, {"job.yaml"}), 0));
  const auto before = results_in(folder_ / "out");
  const auto good = verify();
  EXPECT_TRUE(ended(good, 0));
  EXPECT_NE(good.out.find("all is as it was written (15 artifacts, "), std::string::npos) << good.out;
  EXPECT_TRUE(same_results(before, results_in(folder_ / "out"))) << "looking changes nothing";

  damage("out/store/import/sub-01.h5", 100);
  damage("out/store/aif/sub-02.h5", fs::file_size(folder_ / "out/store/aif/sub-02.h5"));  // its first byte
  damage("out/derivatives/sub-03/perf/sub-03_desc-bsvd_cbf.nii.gz", 20);
  fs::remove(folder_ / "out/derivatives/sub-02/perf/sub-02_desc-bsvd_mtt.json");
  fs::remove(folder_ / "out/store/bsvd_targets/sub-03.h5");
  const auto bad = verify();
  EXPECT_TRUE(ended(bad, 4, {"import/sub-01.h5", "damaged", "bytes"}));
  EXPECT_TRUE(says(bad, {"aif/sub-02.h5", "head cannot be read"}));
  EXPECT_TRUE(says(bad, {"sub-03_desc-bsvd_cbf.nii.gz", "is not what", "export/sub-03.h5"}));
  EXPECT_TRUE(says(bad, {"sub-02_desc-bsvd_mtt.json", "missing", "export/sub-02.h5"}));
  EXPECT_TRUE(says(bad, {"bsvd_targets/sub-03.h5", "missing"}));
  EXPECT_EQ(lines_of(bad.err).size(), 5u) << bad.err;

  EXPECT_TRUE(ended(run_perfpipe(folder_, {"job.yaml"}), 0));
  EXPECT_TRUE(ended(verify(), 0));
  EXPECT_TRUE(same_results(before, results_in(folder_ / "out")));
}

TEST_F(Verify, KnowsWhatIsOfAnotherJob) {
  ASSERT_TRUE(ended(run_perfpipe(folder_, {"job.yaml"}), 0));
  const auto before = file_bytes(folder_ / "out/store/bsvd_targets/sub-01.h5");
  ASSERT_TRUE(ended(run_perfpipe(folder_, {"job.yaml", "--set", "bsvd_targets.threshold=0.2"}), 0));
  folder_.write("out/store/bsvd_targets/sub-01.h5", before);
  EXPECT_TRUE(ended(verify(), 4, {"bsvd_targets/sub-01.h5", "of another job"}));
  folder_.write("out/manifest.json", "{");
  EXPECT_TRUE(ended(verify(), 4, {"manifest.json", "damaged"}));
  fs::remove(folder_ / "out/manifest.json");
  EXPECT_TRUE(ended(verify(), 0)) << "killed before its end: what is there is whole";
  EXPECT_TRUE(ended(run_perfpipe(folder_, {"verify", "nowhere"}), 4, {"nowhere", "output folder of a run"}));
}

TEST_F(Verify, AcceptsWhatWasMadeWithoutInputsThatFailed) {
  folder_.write("job.yaml", cross_validation_job);
  ASSERT_TRUE(ended(run_perfpipe(folder_, {"job.yaml", "--set", "training.learning_rate.tmax=10", "--set",
                                           "training.input_scale.tmax=1000"}),
                    6));
  EXPECT_TRUE(ended(verify(), 0));
}

TEST_F(Verify, ValidateChecksJobAndInputAndCreatesNothing) {
  const auto sound = run_perfpipe(folder_, {"validate", "job.yaml"});
  EXPECT_TRUE(ended(sound, 0));
  EXPECT_EQ(sound.out, "job.yaml: sound: 3 series of 3 subjects, 15 tasks\n");
  EXPECT_TRUE(ended(run_perfpipe(folder_, {"validate", "job.yaml", "--set", "aif.method=guess"}), 2, {"aif.method"}));
  folder_.write(stem_of("sub-02") + "_dsc.json", "{}");
  EXPECT_TRUE(ended(run_perfpipe(folder_, {"validate", "job.yaml"}), 3, {"sub-02", "EchoTime"}));
  EXPECT_TRUE(ended(run_perfpipe(folder_, {"validate"}), 2));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

}  // namespace
}  // namespace perfpipe
