// What a finished cross-validation leaves of its networks: weight files that are listed, refused when damaged, and
// that a re-implementation in Python turns into the maps of the run.
#include "tests/e2e/job_files.hpp"
#include "tests/python.hpp"

namespace perfpipe {
namespace {

class Networks : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TempFolder();
    write_small_cohort(*folder);
    folder->write("job.yaml", cross_validation_job);
    ASSERT_TRUE(ended(run_perfpipe(*folder, {"job.yaml"}, 120.0), 0));
  }
  static void TearDownTestSuite() { delete folder; }
  static std::string weights(const std::string& parameter) {
    return "out/weights/without-sub-01/" + parameter + ".safetensors";
  }
  static TempFolder* folder;
};
TempFolder* Networks::folder = nullptr;

TEST_F(Networks, AreListed) {
  const auto listing = run_perfpipe(*folder, {"weights", weights("cbf"), weights("tmax")});
  EXPECT_TRUE(ended(listing, 0));
  for (const char* part : {"60,161 weights in 14 tensors", "131,905 weights in 18 tensors", "[\"sub-02\",\"sub-03\"]",
                           "tissue chain, L1 to L2: 32 filters of 1x1x36"})
    EXPECT_NE(listing.out.find(part), std::string::npos) << part << "\n" << listing.out;
}

TEST_F(Networks, ThatAreDamagedAreRefusedAndTheOthersListed) {
  std::string bytes = file_bytes(*folder / weights("cbf"));
  folder->write("short.safetensors", bytes.substr(0, bytes.size() - 4));
  const auto listing = run_perfpipe(*folder, {"weights", "short.safetensors", "none", weights("mtt")});
  EXPECT_TRUE(ended(listing, 3, {"short.safetensors", "data_offsets", "damaged"}));
  EXPECT_TRUE(says(listing, {"none", "no such weight file"}));
  EXPECT_NE(listing.out.find("131,905 weights"), std::string::npos);

  const auto where = bytes.find("perfpipe-bicnn-1");
  ASSERT_NE(where, std::string::npos);
  folder->write("other.safetensors", bytes.replace(where, 16, "perfpipe-bicnn-9"));
  const auto other = run_perfpipe(*folder, {"weights", "other.safetensors"});
  EXPECT_TRUE(ended(other, 3, {"other.safetensors", "perfpipe-bicnn-9", "perfpipe-bicnn-1"}));
  EXPECT_NE(other.out.find("fc6.weight"), std::string::npos) << "a sound file is shown even so";
}

TEST_F(Networks, OfAnotherSeedAreComparedInOneLine) {
  const auto second = run_perfpipe(
      *folder, {"job.yaml", "--output", "second", "--set", "seed=2", "--set", "evaluation.compare=out"}, 120.0);
  EXPECT_TRUE(ended(second, 0));
  const auto line = [&] {
    for (const auto& one : lines_of(second.out))
      if (one.starts_with("Differences between patients")) return one;
    return std::string();
  }();
  for (const char* parameter : {"CBF", "CBV", "MTT", "Tmax"})
    EXPECT_NE(line.find(parameter), std::string::npos) << line;
  EXPECT_NE(file_bytes(*folder / "second/report/index.html").find(line), std::string::npos);

  // The same seed is no comparison; what was trained is kept even so.
  const auto same = run_perfpipe(*folder, {"job.yaml", "--output", "third", "--set", "evaluation.compare=out"}, 120.0);
  EXPECT_TRUE(ended(same, 0, {"no comparison of seeds", "another seed"}));
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"job.yaml", "--set", "evaluation.compare=nowhere"}), 3,
                    {"evaluation.compare", "nowhere", "results.json"}));
}

TEST_F(Networks, BaselinesAndTrainingsStandInTheTables) {
  const auto errors = lines_of(file_bytes(*folder / "out/tables/armse.csv"));
  ASSERT_GE(errors.size(), 5u);
  EXPECT_NE(errors[0].find(",constant_armse,constant_armse_sd,nearest_armse,"), std::string::npos);
  for (std::size_t i = 1; i < errors.size(); ++i) EXPECT_EQ(errors[i].find(",,"), std::string::npos) << errors[i];
  EXPECT_EQ(lines_of(file_bytes(*folder / "out/tables/trainings.csv")).size(), 13u);
  EXPECT_EQ(lines_of(file_bytes(*folder / "out/tables/clinical.csv")).size(), 7u) << "two makers, three patients";
}

TEST_F(Networks, GiveTheSameMapsInPython) {
  const auto options = options_in(*folder);
  const std::string python = python_with("numpy, h5py");
  ASSERT_NE(python, "") << "no python3 with numpy and h5py is here; 'tools/setup --tests' installs what the tests need";
  for (const char* parameter : {"cbf", "cbv", "mtt", "tmax"}) {
    // Both add some thousand products of float32 weights, one in float32 and one in double: some 1e-6 apart.
    const auto check = run_command(
        {python, PERFPIPE_SOURCE_DIR "/tools/perfpipe_network.py", "out", "sub-01", parameter, "--tolerance", "2e-5"},
        options, 60.0);
    EXPECT_TRUE(ended(check, 0)) << parameter;
    EXPECT_GE(lines_of(check.out).size(), 20u) << check.out;
  }
  const auto wrong = run_command({python, PERFPIPE_SOURCE_DIR "/tools/perfpipe_network.py", "out", "sub-01", "mtt",
                                  "--weights", "out/weights/without-sub-02/mtt.safetensors"},
                                 options, 60.0);
  EXPECT_EQ(wrong.code, 1) << "another fold's network gives other estimates\n" << wrong.out;
}

}  // namespace
}  // namespace perfpipe
