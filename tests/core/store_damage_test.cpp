// Artifacts that were damaged after they were written, and disks that do not take them.
#include "core/store.hpp"
#include "tests/temp_folder.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <numeric>
#include <sys/mount.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

std::vector<float> numbered(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.25f);
  return values;
}

void write_map(const fs::path& file, std::int64_t slices) {
  ArtifactWriter writer(file, "key", nullptr);
  writer.write<float>({"cbf", {"z", "y", "x"}, "1"}, {slices, 10, 10},
                      numbered(static_cast<std::size_t>(slices) * 100));
  writer.commit();
}

std::string failure(const std::function<void()>& work) {
  try {
    work();
  } catch (const IoError& error) {
    return error.what();
  }
  return "no failure";
}

class DamagedArtifact : public testing::Test {
 protected:
  void SetUp() override {
    write_map(path_, 3);
    bytes_ = file_bytes(path_);
    head_ = *read_artifact_head(path_);
  }
  void put(const std::string& bytes) const { folder_.write("a.h5", bytes); }

  TempFolder folder_;
  fs::path path_ = folder_ / "a.h5";
  std::string bytes_;
  ArtifactHead head_;
};

TEST_F(DamagedArtifact, AFlippedBitAnywhereIsSeen) {
  ASSERT_GT(bytes_.size(), 2048u);
  for (std::size_t i = 1024; i < bytes_.size(); i += 61) {
    std::string damaged = bytes_;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    put(damaged);
    const auto head = read_artifact_head(path_);
    ASSERT_TRUE(head);
    EXPECT_FALSE(artifact_is_intact(path_, *head)) << "byte " << i;
  }
  put(bytes_);
  EXPECT_TRUE(artifact_is_intact(path_, head_));
}

TEST_F(DamagedArtifact, AFlippedBitInTheDataFailsToRead) {
  const float value = 123.25f;
  std::string pattern(sizeof(value), '\0');
  std::memcpy(pattern.data(), &value, sizeof(value));
  const auto place = bytes_.find(pattern, 1024);
  ASSERT_NE(place, std::string::npos);
  std::string damaged = bytes_;
  damaged[place] = static_cast<char>(damaged[place] ^ 1);
  put(damaged);
  const ArtifactReader reader(path_);  // the head and the size are as they were
  const auto message = failure([&] { reader.read<float>("cbf"); });
  EXPECT_NE(message.find("reading dataset 'cbf'"), std::string::npos) << message;
  EXPECT_NE(message.find("checksum"), std::string::npos) << message;
  EXPECT_EQ(reader.read_slab<float>("cbf", 0, 1).size(), 100u) << "other chunks are as they were";
}

TEST_F(DamagedArtifact, ATruncatedFileIsRefused) {
  for (const std::size_t size : {bytes_.size() - 1, bytes_.size() / 2, std::size_t{1024}}) {
    put(bytes_.substr(0, size));
    EXPECT_FALSE(artifact_is_intact(path_, head_));
    EXPECT_NE(failure([&] {
                ArtifactReader reader(path_);
              }).find(std::to_string(bytes_.size()) + " bytes were written but the file has " + std::to_string(size)),
              std::string::npos);
  }
  put(bytes_ + "x");
  EXPECT_FALSE(artifact_is_intact(path_, head_)) << "nor may it be longer";
}

TEST_F(DamagedArtifact, AHeadThatIsNotOursIsRefused) {
  std::vector<std::string> heads{"", "short", std::string(5000, ' '), bytes_.substr(1024)};
  heads.push_back(bytes_);
  heads.back()[0] = 'P';
  for (const char* json : {"{", "[]", "{}", R"({"key":1,"content":"x","bytes":3})", R"({"key":"k","content":"x"})",
                           R"({"key":"k","content":"x","bytes":-3})"}) {
    std::string head = "perfpipe artifact 1\n" + std::string(json);
    head.resize(1024, ' ');
    heads.push_back(head + bytes_.substr(1024));
  }
  for (const auto& text : heads) {
    put(text);
    EXPECT_FALSE(read_artifact_head(path_)) << text.substr(0, 80);
    EXPECT_NE(failure([&] { ArtifactReader reader(path_); }).find("not an artifact of perfpipe; run the job again"),
              std::string::npos);
  }
  EXPECT_FALSE(read_artifact_head(folder_.path())) << "a folder";
  EXPECT_FALSE(read_artifact_head(folder_ / "missing"));
}

TEST_F(DamagedArtifact, ADamagedSuperblockIsAnErrorWithHdf5sWords) {
  std::string damaged = bytes_;
  damaged.replace(1024, 8, "........");
  put(damaged);
  const auto message = failure([&] { ArtifactReader reader(path_); });
  EXPECT_EQ(message.find(path_.string() + ": the file cannot be opened: "), 0u) << message;
}

TEST(FullDisk, AWriteThatFailsLeavesNothing) {
  const TempFolder folder;
  write_map(folder / "a.h5", 1);
  const auto before = file_bytes(folder / "a.h5");
  rlimit limits{};
  ::getrlimit(RLIMIT_FSIZE, &limits);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{20'000, limits.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);  // as a full disk: writes beyond 20 kB fail
  const auto message = failure([&] { write_map(folder / "a.h5", 300); });
  ::setrlimit(RLIMIT_FSIZE, &limits);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message, "no failure");
  EXPECT_EQ(file_bytes(folder / "a.h5"), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(FullDisk, IsAnErrorAtTheCommitAtTheLatest) {
  const TempFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "a small file system cannot be mounted here (" << std::strerror(errno)
                 << "); FullDisk.AWriteThatFailsLeavesNothing covers the same path by a file size limit";
  std::string message;
  std::size_t left = 0;
  bool whole = false;
  try {
    write_map(folder / "small.h5", 10);
    message = failure([&] { write_map(folder / "large.h5", 1000); });
    left = static_cast<std::size_t>(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
    const auto head = read_artifact_head(folder / "small.h5");
    whole = head && artifact_is_intact(folder / "small.h5", *head);
  } catch (...) {
    ::umount2(folder.path().c_str(), MNT_DETACH);
    throw;
  }
  ::umount2(folder.path().c_str(), MNT_DETACH);
  EXPECT_NE(message.find("large.h5"), std::string::npos) << message;
  EXPECT_EQ(left, 1u);
  EXPECT_TRUE(whole);
}

}  // namespace
}  // namespace perfpipe
