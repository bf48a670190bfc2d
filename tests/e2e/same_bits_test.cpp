// The promise that results do not depend on how many ranks there are, how they share the cores, or on memory.
#include "tests/e2e/job_files.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

/// How many trainings several ranks computed together, by the ranks' logs.
int shared_trainings(const fs::path& output) {
  std::map<std::string, int> ranks;
  for (const auto& entry : fs::directory_iterator(output / "logs")) {
    std::set<std::string> started;
    for (const auto& line : lines_of(file_bytes(entry.path()))) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object() || json.value("event", "") != "task started") continue;
      if (const std::string task = json.value("task", ""); task.starts_with("training/")) started.insert(task);
    }
    for (const auto& task : started) ++ranks[task];
  }
  return static_cast<int>(std::count_if(ranks.begin(), ranks.end(), [](const auto& one) { return one.second > 1; }));
}

class SameBits : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TempFolder>();
    write_small_cohort(*folder, 2);
    write_patient(*folder, "sub-03_ses-1", small_series(3));
    write_patient(*folder, "sub-03_ses-2", small_series(4));
    folder->write("job.yaml", cross_validation_job);
    ASSERT_TRUE(ended(run_perfpipe(*folder, {"job.yaml"}), 0));
    fs::copy(*folder / "out" / "weights" / "without-sub-01", *folder / "networks");
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

TEST_F(SameBits, OnePatientOverSeveralRanks) {
  TempFolder alone;
  NiftiBuilder image = small_series(1);
  image.dim = {16, 16, 9, 45};  // an odd number of slices: the last round has fewer of them than ranks
  image.value = [good = small_series(1).value](std::size_t i) {
    const std::size_t t = i / (16 * 16 * 9), place = i % (16 * 16 * 9);
    return good(t * 512 + place % 512) + 0.01 * static_cast<double>(place / 512);
  };
  write_patient(alone, "sub-01", image);
  fs::copy(*folder / "networks", alone / "networks");
  alone.write(
      "job.yaml",
      "output: out\ncohort: cohort\nstages: [import, interpolation, aif, bsvd_targets: {method: bayes, residue: "
      "true}, inference: {weights: networks}, masking, export]\n");
  ASSERT_TRUE(ended(run_perfpipe(alone, {"job.yaml"}), 0));
  const auto expected = results_in(alone / "out");
  EXPECT_TRUE(expected.contains("derivatives/sub-01/perf/sub-01_desc-cnn_tmax.nii.gz"));
  for (const int ranks : {2, 4}) {
    fs::remove_all(alone / "out");
    ASSERT_TRUE(ended(run_ranks(alone, ranks, {"job.yaml"}, 120.0), 0));
    EXPECT_TRUE(same_results(expected, results_in(alone / "out"))) << ranks;
    for (int rank = 0; rank < ranks; ++rank)
      for (const char* task : {"inference/sub-01", "bsvd_targets/sub-01"})
        EXPECT_NE(file_bytes(alone / ("out/logs/rank-00" + std::to_string(rank) + ".jsonl")).find(task),
                  std::string::npos)
            << "rank " << rank << " of " << ranks << " takes no part in " << task;
  }
}

TEST_F(SameBits, WhenRanksShareTheTrainings) {
  // Three trainings on eight ranks, and long beside all other tasks: they are waited for, two or four for each.
  const std::vector<std::string> words{"job.yaml", "--set", "training.parameters=[mtt]", "--set", "training.epochs=12"};
  ASSERT_TRUE(ended(run_perfpipe(*folder, words), 0));
  const auto alone = take_results();
  ASSERT_TRUE(ended(run_ranks(*folder, 8, words, 120.0), 0));
  EXPECT_GT(shared_trainings(*folder / "out"), 0);
  EXPECT_TRUE(same_results(alone, take_results()));
}

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

// Memory follows the slab, not the series: of one that takes 44 MB as float32, and 69 MB as curves of 70 samples.
TEST_F(SameBits, PeakMemoryDoesNotFollowTheSize) {
  const auto peak = [&](std::size_t nx, std::size_t nz, const std::string& extension) {
    TempFolder place;
    NiftiBuilder image = small_series(1);
    image.dim = {static_cast<long>(nx), static_cast<long>(nx), static_cast<long>(nz), 45};
    image.datatype = 4;
    image.value = [good = small_series(1).value, nx, nz](std::size_t i) {
      const std::size_t t = i / (nx * nx * nz), x = i % nx * 16 / nx, y = i / nx % nx * 16 / nx;
      return good(t * 512 + y * 16 + x);
    };
    write_patient(place, "sub-01", image, small_sidecar, extension);
    fs::copy(*folder / "networks", place / "networks");
    place.write("job.yaml",
                "output: out\ncohort: cohort\nstages: [import, interpolation, aif, bsvd_targets, inference: {weights: "
                "networks}, masking, export, report]\nparallel: {threads: 2, slab_memory: 1}\n");
    EXPECT_TRUE(ended(run_perfpipe(place, {"job.yaml"}, 120.0), 0));
    double most = 0.0;
    for (const auto& line : lines_of(file_bytes(place / "out/logs/rank-000.jsonl"))) {
      const auto json = nlohmann::json::parse(line);
      most = std::max(most, json.value("peak_mebibytes", 0.0));
    }
    return most;
  };
  const double small = peak(16, 2, ".nii");
  EXPECT_GT(small, 10.0);
  EXPECT_LT(peak(64, 60, ".nii.gz"), small + 16.0);
}

}  // namespace
}  // namespace perfpipe
