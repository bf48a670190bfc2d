#include "core/log.hpp"

#include "core/error.hpp"
#include "tests/temp_folder.hpp"

#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

std::vector<nlohmann::json> lines_of(const std::filesystem::path& file) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(file_bytes(file));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(Log, WritesOneJsonObjectALine) {
  const TempFolder folder;
  {
    Log log(7);
    testing::internal::CaptureStderr();
    log.info("before the file is open");
    log.open(folder / "logs");
    log.info("first");
    log.warn("two\nlines and \"quotes\"");
    log.error("third");
    log.event("epoch", {{"loss", 0.5}, {"task", "training/x"}});
    testing::internal::GetCapturedStderr();
  }
  const auto lines = lines_of(folder / "logs/rank-007.jsonl");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].at("level"), "info");
  EXPECT_EQ(lines[0].at("message"), "first");
  EXPECT_EQ(lines[1].at("level"), "warning");
  EXPECT_EQ(lines[1].at("message"), "two\nlines and \"quotes\"");
  EXPECT_EQ(lines[2].at("level"), "error");
  EXPECT_EQ(lines[3].at("event"), "epoch");
  EXPECT_EQ(lines[3].at("loss"), 0.5);
  for (const auto& line : lines) {
    EXPECT_EQ(line.at("rank"), 7);
    const auto time = line.at("time").get<std::string>();
    EXPECT_EQ(time.size(), std::string("2026-01-31T12:00:00.000Z").size()) << time;
    EXPECT_EQ(time.back(), 'Z');
  }
}

TEST(Log, AppendsToAnOlderRun) {
  const TempFolder folder;
  for (int i = 0; i < 2; ++i) {
    Log log(0);
    log.open(folder.path());
    log.event("start", {{"run", i}});
  }
  const auto lines = lines_of(folder / "rank-000.jsonl");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1].at("run"), 1);
}

TEST(Log, BytesThatAreNotUtf8DoNotBreakTheLines) {
  const TempFolder folder;
  {
    Log log(0);
    log.open(folder.path());
    testing::internal::CaptureStderr();
    log.info("a\xe9z");
    testing::internal::GetCapturedStderr();
  }
  EXPECT_EQ(lines_of(folder / "rank-000.jsonl").at(0).at("message"), "a\xef\xbf\xbdz");
}

TEST(Log, OtherRanksShowWarningsAndErrorsAlone) {
  testing::internal::CaptureStderr();
  Log first(0), other(3);
  first.info("info of zero");
  other.info("info of three");
  other.warn("warning of three");
  other.error("error of three");
  const auto shown = testing::internal::GetCapturedStderr();
  EXPECT_NE(shown.find("info of zero"), std::string::npos);
  EXPECT_EQ(shown.find("info of three"), std::string::npos);
  EXPECT_NE(shown.find("[rank 3] warning of three"), std::string::npos) << shown;
  EXPECT_NE(shown.find("[rank 3] error of three"), std::string::npos);
  EXPECT_EQ(other.rank(), 3);
}

TEST(Log, NamesAFolderThatCannotBeUsed) {
  const TempFolder folder;
  folder.write("file", "x");
  Log log(0);
  try {
    log.open(folder / "file/logs");
    FAIL() << "nothing was thrown";
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find((folder / "file/logs/rank-000.jsonl").string()), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace perfpipe
