#include "core/progress.hpp"

#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <stdlib.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

std::string content(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

TEST(Progress, WritesALineForEachTaskWhereThereIsNoTerminal) {
  const File file(std::tmpfile());
  {
    Progress progress(3, 10.0, file.get());
    progress.started("aif/sub-01", 0);
    progress.finished("aif/sub-01", 0, 0.04, 1.0, "");
    progress.finished("training/fold-sub-01_cbf", 2, 12.34, 4.0, "FAILED");
    progress.finished("report/cohort", 0, 1.0, 5.0, "");
  }
  const auto text = content(file.get());
  EXPECT_EQ(text.find('\r'), std::string::npos) << "no control characters in a file";
  EXPECT_EQ(text.find("[1/3] aif/sub-01 (0.0 s on rank 0), about 0:00 left\n"), 0u) << text;
  EXPECT_NE(text.find("[2/3] training/fold-sub-01_cbf (12.3 s on rank 2): FAILED, about 0:00 left\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("[3/3] report/cohort (1.0 s on rank 0)\n"), std::string::npos) << "nothing is left: " << text;
}

TEST(Progress, RenewsOneLineOnATerminal) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(::grantpt(terminal), 0);
  ASSERT_EQ(::unlockpt(terminal), 0);
  const File out(std::fopen(::ptsname(terminal), "w"));
  ASSERT_NE(out, nullptr);
  {
    Progress progress(2, 4.0, out.get());
    progress.started("aif/sub-01", 0);
    progress.started("aif/sub-02", 1);
    progress.finished("aif/sub-01", 0, 0.1, 1.0, "");
  }
  std::string text;  // a terminal hands over what it has so far: read on until the last line is there
  pollfd waiting{terminal, POLLIN, 0};
  while (text.find("left: aif/sub-02") == std::string::npos && ::poll(&waiting, 1, 5000) == 1) {
    char buffer[4096];
    const ssize_t got = ::read(terminal, buffer, sizeof(buffer));
    ASSERT_GT(got, 0);
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(terminal);
  EXPECT_NE(text.find("[0/2] 0 %: aif/sub-01, aif/sub-02"), std::string::npos) << text;
  EXPECT_NE(text.find("[1/2] 25 %, about 0:00 left: aif/sub-02"), std::string::npos) << text;
  EXPECT_EQ(text.find("on rank 0"), std::string::npos) << "short tasks leave no line of their own";
}

TEST(Progress, AFullDiskDoesNotEndTheJob) {
  const File full(std::fopen("/dev/full", "w"));
  ASSERT_NE(full, nullptr);
  std::setvbuf(full.get(), nullptr, _IONBF, 0);  // as the standard error is
  Progress progress(1, 1.0, full.get());
  EXPECT_NO_THROW(progress.finished("aif/sub-01", 0, 2.0, 1.0, ""));
}

TEST(Progress, AJobWithNothingToDoDividesByNothing) {
  const File file(std::tmpfile());
  { Progress progress(0, 0.0, file.get()); }
  EXPECT_EQ(content(file.get()), "");
}

}  // namespace
}  // namespace perfpipe
