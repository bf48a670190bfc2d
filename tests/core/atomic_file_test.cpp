#include "core/atomic_file.hpp"

#include "core/error.hpp"
#include "tests/temp_folder.hpp"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

std::string io_failure(const fs::path& path, std::string_view bytes) {
  try {
    write_file_atomically(path, bytes);
  } catch (const IoError& error) {
    return error.what();
  }
  return "no failure";
}

TEST(AtomicFile, WritesAndReplaces) {
  const TempFolder folder;
  const std::string bytes("a\0b\n", 4);
  write_file_atomically(folder / "file.txt", bytes);
  EXPECT_EQ(file_bytes(folder / "file.txt"), bytes);
  write_file_atomically(folder / "file.txt", "");
  EXPECT_EQ(file_bytes(folder / "file.txt"), "");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, GivesTheUsualPermissions) {
  const TempFolder folder;
  const mode_t before = ::umask(027);
  write_file_atomically(folder / "file.txt", "x");
  ::umask(before);
  struct stat facts {};
  ASSERT_EQ(::stat((folder / "file.txt").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0640u);
}

TEST(AtomicFile, WritesIntoTheWorkingDirectory) {
  const TempFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  EXPECT_EQ(io_failure("plain.txt", "x"), "no failure");
  fs::current_path(before);
  EXPECT_EQ(file_bytes(folder / "plain.txt"), "x");
}

TEST(AtomicFile, NamesThePathAndTheReason) {
  const TempFolder folder;
  const auto missing = folder / "nowhere/file.txt";
  EXPECT_NE(io_failure(missing, "x").find(missing.string() + ": cannot be created: No such file"), std::string::npos);
  folder.write("file", "x");
  EXPECT_NE(io_failure(folder / "file/inside", "x").find("Not a directory"), std::string::npos);
  fs::create_directory(folder / "folder");
  EXPECT_NE(io_failure(folder / "folder", "x").find("rename into place failed: Is a directory"), std::string::npos);
  EXPECT_EQ(files_in(folder.path()), 2u) << "no temporary is left";
}

TEST(AtomicFile, AFullDiskLeavesTheOlderFile) {
  const TempFolder folder;
  folder.write("file.txt", "older");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{100, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &limit);  // as a full disk: writes beyond 100 bytes fail
  const std::string message = io_failure(folder / "file.txt", std::string(1000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("write failed after 100 of 1000 bytes: File too large"), std::string::npos) << message;
  EXPECT_EQ(file_bytes(folder / "file.txt"), "older");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, PendingFilesOfOneTargetDoNotMeet) {
  const TempFolder folder;
  PendingFile first(folder / "a.nii", ".nii"), second(folder / "a.nii", ".nii");
  EXPECT_NE(first.temporary(), second.temporary());
  EXPECT_EQ(first.temporary().extension(), ".nii");
  EXPECT_EQ(first.temporary().parent_path(), folder.path());
  folder.write(first.temporary().filename(), "first");
  first.commit();
  EXPECT_EQ(file_bytes(folder / "a.nii"), "first");
}

TEST(AtomicFile, APendingFileThatIsNotCommittedLeavesNothing) {
  const TempFolder folder;
  { const PendingFile pending(folder / "a.h5"); }
  EXPECT_EQ(files_in(folder.path()), 0u);
}

TEST(SmallFile, ReadsUpToItsCap) {
  const TempFolder folder;
  Findings findings;
  EXPECT_EQ(read_small_file(folder.write("a", "12345"), 5, findings), "12345");
  EXPECT_TRUE(findings.empty());
  EXPECT_FALSE(read_small_file(folder / "a", 4, findings));
  ASSERT_EQ(findings.lines().size(), 1u);
  EXPECT_NE(findings.lines()[0].find("larger than the 4 bytes"), std::string::npos) << findings.lines()[0];
}

TEST(SmallFile, RefusesWhatIsNoRegularFile) {
  const TempFolder folder;
  fs::create_directory(folder / "folder");
  fs::create_symlink("nowhere", folder / "link");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  const std::pair<const char*, const char*> cases[] = {
      {"folder", "is a folder"}, {"link", "symbolic link"}, {"fifo", "FIFO"}, {"missing", "No such file"}};
  for (const auto& [name, word] : cases) {
    Findings findings;
    EXPECT_FALSE(read_small_file(folder / name, 100, findings));
    ASSERT_EQ(findings.lines().size(), 1u) << name;
    EXPECT_EQ(findings.lines()[0].find((folder / name).string() + ": "), 0u) << findings.lines()[0];
    EXPECT_NE(findings.lines()[0].find(word), std::string::npos) << findings.lines()[0];
  }
}

}  // namespace
}  // namespace perfpipe
