// Outputs that cannot be written, weights that do not fit, stores that were damaged.
#include "tests/e2e/job_files.hpp"

#include <sys/mount.h>

#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

class BadOutput : public testing::Test {
 protected:
  BadOutput() {
    write_small_cohort(folder_);
    folder_.write("job.yaml", maps_job);
  }
  CommandResult run(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), "job.yaml");
    return run_perfpipe(folder_, arguments);
  }
  TempFolder folder_;
};

/// A small file system of its own at a folder, unmounted at the end.
class SmallDisk {
 public:
  SmallDisk(fs::path folder, const std::string& size) : folder_(std::move(folder)) {
    fs::create_directories(folder_);
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  bool resize(const std::string& size) {
    return ::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()) == 0;
  }
  bool make_read_only() { return ::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0; }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

// ---- The output folder. ----

TEST_F(BadOutput, FileInTheWay) {
  folder_.write("out", "a file");
  EXPECT_TRUE(ended(run(), 4, {"out", "cannot be created", "--output"}));
  EXPECT_EQ(file_bytes(folder_ / "out"), "a file");
  EXPECT_TRUE(ended(run({"--output", "out/below"}), 4, {"out/below", "cannot be created", "--output"}));
  folder_.write("other/store", "a file");
  EXPECT_TRUE(ended(run({"--output", "other"}), 4, {"other", "cannot be created", "--output"}));
}

TEST_F(BadOutput, FolderThatMayNotBeWritten) {
  fs::create_directories(folder_ / "closed");
  fs::permissions(folder_.path(), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  auto options = options_in(folder_);
  options.as_nobody = true;
  const auto result = run_command(perfpipe_words({"job.yaml", "--output", "closed"}), options);
  EXPECT_TRUE(ended(result, 4, {"closed", "Permission denied", "--output"}));
}

TEST_F(BadOutput, ReadOnlyDisk) {
  SmallDisk disk(folder_ / "disk", "8m");
  if (!disk.mounted() || !disk.make_read_only()) GTEST_SKIP() << "mount is not permitted here";
  EXPECT_TRUE(ended(run({"--output", "disk/out"}), 4, {"disk/out", "Read-only file system", "--output"}));
}

TEST_F(BadOutput, FullDiskEndsTheJobAndMoreSpaceLetsItFinish) {
  ASSERT_TRUE(ended(run(), 0));
  const auto expected = results_in(folder_ / "out");
  // Different sizes run full in different writes: of a store file, of an image, of the lock or the log.
  for (const char* size : {"8k", "60k", "200k", "500k", "700k"}) {
    SmallDisk disk(folder_ / "disk", size);
    if (!disk.mounted()) GTEST_SKIP() << "mount is not permitted here";
    const auto full = run({"--output", "disk/out"});
    EXPECT_TRUE(ended(full, 4, {"perfpipe: error: ", "disk/out", "No space left on device", "free some space"}))
        << size;
    EXPECT_EQ(temporaries_in(folder_ / "disk"), std::vector<std::string>()) << size;
    ASSERT_TRUE(disk.resize("64m"));
    EXPECT_TRUE(ended(run({"--output", "disk/out"}), 0)) << size;
    EXPECT_TRUE(same_results(expected, results_in(folder_ / "disk/out"))) << size;
  }
}

TEST_F(BadOutput, TwoJobsAtOnceOnOneOutput) {
  folder_.write("long.yaml", std::string(cross_validation_job) + "seed: 2\n");
  Command first(perfpipe_words({"long.yaml", "--set", "training.epochs=2000"}), options_in(folder_));
  while (first.running() && first.seconds() < 30.0 && !fs::exists(folder_ / "out/store/binning"))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(ended(run(), 4, {"out", "another job", "--output"}));
  EXPECT_TRUE(ended(run({"--dry-run"}), 0)) << "looking changes nothing and needs no lock";
  EXPECT_TRUE(ended(run({"--output", "other"}), 0));
  EXPECT_TRUE(first.running()) << "the first job goes on";
  first.kill_all();
  first.wait();
  EXPECT_TRUE(ended(run(), 0)) << "a killed job leaves no lock behind";
}

// ---- Weights. ----

class BadWeights : public BadOutput {
 protected:
  static void SetUpTestSuite() {
    trained = std::make_unique<TempFolder>();
    write_small_cohort(*trained);
    trained->write("job.yaml", cross_validation_job);
    ASSERT_TRUE(ended(run_perfpipe(*trained, {"job.yaml"}), 0));
  }
  static void TearDownTestSuite() { trained.reset(); }

  BadWeights() {
    folder_.write("job.yaml",
                  "output: out\ncohort: cohort\nstages:\n  - import\n  - interpolation\n  - aif\n"
                  "  - inference: {weights: weights}\n  - export\n");
  }
  static std::string weights(const std::string& parameter) {
    return file_bytes(*trained / ("out/weights/without-sub-01/" + parameter + ".safetensors"));
  }
  /// weights/NAME.safetensors of these bytes, alone; refused with these pieces.
  void expect_refused(const std::string& name, const std::string& bytes, std::vector<std::string> pieces) {
    fs::remove_all(folder_ / "weights");
    folder_.write("weights/" + name + ".safetensors", bytes);
    pieces.insert(pieces.begin(), "weights/" + name + ".safetensors");
    EXPECT_TRUE(ended(run(), 3, pieces));
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  }

  static std::unique_ptr<TempFolder> trained;
};
std::unique_ptr<TempFolder> BadWeights::trained;

TEST_F(BadWeights, GoodOnesGiveMaps) {
  for (const char* parameter : {"cbf", "tmax"})
    folder_.write("weights/" + std::string(parameter) + ".safetensors", weights(parameter));
  ASSERT_TRUE(ended(run(), 0));
  for (const char* parameter : {"cbf", "tmax"})
    EXPECT_TRUE(
        fs::exists(folder_ / "out/derivatives/sub-02/perf" / ("sub-02_desc-cnn_" + std::string(parameter) + ".nii.gz")))
        << parameter;
  EXPECT_FALSE(fs::exists(folder_ / "out/derivatives/sub-02/perf/sub-02_desc-cnn_mtt.nii.gz"));
}

TEST_F(BadWeights, FolderThatIsNotThereOrEmpty) {
  EXPECT_TRUE(ended(run(), 3, {"weights", "cbf.safetensors", "name a folder"}));
  fs::create_directories(folder_ / "weights");
  EXPECT_TRUE(ended(run(), 3, {"weights", "cbf.safetensors", "name a folder"}));
}

TEST_F(BadWeights, OfAnotherParameterOrArchitecture) {
  expect_refused("mtt", weights("cbv"), {"cbv", "mtt"});
  expect_refused("mtt", weights("cbf"), {"cbf", "mtt"});
  // The header is text: another architecture's number of channels.
  std::string bytes = weights("mtt");
  const auto shape = bytes.find("[32,1120]");
  const auto place = shape == std::string::npos ? bytes.find("[32,") : shape;
  ASSERT_NE(place, std::string::npos) << bytes.substr(0, 600);
  bytes.replace(place, 4, "[16,");
  expect_refused("mtt", bytes, {"shape"});
}

TEST_F(BadWeights, Damaged) {
  const std::string good = weights("mtt");
  expect_refused("mtt", good.substr(0, good.size() - 4), {"safetensors", "damaged"});
  expect_refused("mtt", good.substr(0, 5), {"5 bytes"});
  expect_refused("mtt", "", {"0 bytes"});
  expect_refused("mtt", good + "more", {"damaged"});
  std::string bytes = good;
  bytes[20] = '\0';
  expect_refused("mtt", bytes, {"JSON"});
  bytes = good;
  bytes[7] = '\x7f';
  expect_refused("mtt", bytes, {"header length"});
  bytes = good;
  for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = '\xff';
  expect_refused("mtt", bytes, {"finite values are needed"});
}

TEST_F(BadWeights, ThatAreNoFile) {
  fs::create_directories(folder_ / "weights/mtt.safetensors");
  EXPECT_TRUE(ended(run(), 3, {"weights/mtt.safetensors", "not a regular file"}));
}

// ---- The store and what was published. ----

TEST_F(BadOutput, DamagedStoreFilesAreNamedAndMadeAnew) {
  ASSERT_TRUE(ended(run(), 0));
  const auto expected = results_in(folder_ / "out");
  const auto damage = [&](const std::string& file, auto change) {
    std::string bytes = file_bytes(folder_ / ("out/store/" + file));
    change(bytes);
    folder_.write("out/store/" + file, bytes);
  };
  damage("import/sub-01.h5", [](std::string& bytes) { bytes[bytes.size() / 2] ^= 0x10; });
  damage("interpolation/sub-02.h5", [](std::string& bytes) { bytes.back() ^= 1; });
  damage("aif/sub-03.h5", [](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  damage("bsvd_targets/sub-01.h5", [](std::string& bytes) { bytes.clear(); });
  damage("bsvd_targets/sub-02.h5", [](std::string& bytes) { bytes = "not one of ours"; });
  damage("export/sub-03.h5", [](std::string& bytes) { bytes[40] ^= 1; });  // in the key
  const auto result = run();
  EXPECT_TRUE(ended(result, 0));
  for (const char* file : {"import/sub-01.h5", "interpolation/sub-02.h5", "aif/sub-03.h5", "bsvd_targets/sub-01.h5",
                           "bsvd_targets/sub-02.h5"})
    EXPECT_TRUE(says(result, {"warning", file, "damaged", "made anew"})) << file;
  EXPECT_EQ(task_counts(result.err).to_run, 6) << "only what was damaged: what it was made from has not changed\n"
                                               << result.err;
  EXPECT_TRUE(same_results(expected, results_in(folder_ / "out")));
}

TEST_F(BadOutput, PublishedFilesThatAreGoneOrChangedAreMadeAgain) {
  ASSERT_TRUE(ended(run(), 0));
  const auto expected = results_in(folder_ / "out");
  fs::remove(folder_ / "out/derivatives/sub-01/perf/sub-01_desc-bsvd_cbf.nii.gz");
  folder_.write("out/derivatives/sub-02/perf/sub-02_desc-bsvd_mtt.json", "{}");
  fs::remove(folder_ / "out/derivatives/sub-03/perf/sub-03_aif.tsv");
  EXPECT_NE(run({"--explain"}).out.find("its file derivatives/sub-01/perf/sub-01_desc-bsvd_cbf.nii.gz is missing"),
            std::string::npos);
  const auto result = run();
  EXPECT_TRUE(ended(result, 0));
  EXPECT_EQ(task_counts(result.err).to_run, 3) << result.err;
  EXPECT_TRUE(same_results(expected, results_in(folder_ / "out")));
}

TEST_F(BadOutput, FolderInPlaceOfAStoreFile) {
  fs::create_directories(folder_ / "out/store/bsvd_targets/sub-02.h5/x");
  const auto result = run();
  EXPECT_TRUE(ended(result, 4, {"bsvd_targets/sub-02", "out/store/bsvd_targets/sub-02.h5", "Is a directory"}));
  EXPECT_EQ(temporaries_in(folder_ / "out"), std::vector<std::string>());
  fs::remove_all(folder_ / "out/store/bsvd_targets/sub-02.h5");
  EXPECT_TRUE(ended(run(), 0));
}

}  // namespace
}  // namespace perfpipe
