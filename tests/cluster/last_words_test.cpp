#include "cluster/last_words.hpp"

#include <chrono>
#include <cstdio>
#include <stdlib.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Ended {
  std::string output;
  int status = -1;
  double seconds = 0.0;

  std::string last_line() const {
    const auto text = output.substr(0, output.find_last_not_of('\n') + 1);
    const auto line = text.rfind('\n');
    return line == std::string::npos ? text : text.substr(line + 1);
  }
};

/// Runs a shell command to its end, which is when nothing holds its output any more.
Ended shell(const std::string& command) {
  Ended ended;
  const auto start = Clock::now();
  std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ended;
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), pipe)) ended.output.append(buffer, got);
  const int status = ::pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ended.seconds = seconds_since(start);
  return ended;
}

TEST(LastWords, AreSaidAtOnceWhereThereIsNoLauncher) {
  EXPECT_EXIT(
      {
        leave_last_words("error: no cohort\n");
        ::_exit(3);
      },
      testing::ExitedWithCode(3), "^error: no cohort\n$");
}

/// Four ranks, of which one fails while the others are busy or wait for it.
void expect_quick_end(int rank, const std::string& where) {
  for (const char* name :
       {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"})
    ::setenv(name, "1", 0);
  const auto ended = shell(std::string("'") + PERFPIPE_MPIEXEC + "' -np 4 '" + PERFPIPE_ABORT_ON_RANK + "' " +
                           std::to_string(rank) + " " + where);
  const auto number = std::to_string(rank);
  EXPECT_EQ(ended.last_line(), "error on rank " + number + ": sub-01_dsc.nii: broken on rank " + number)
      << ended.output;
  EXPECT_EQ(ended.status, 3) << "the exit code of an input error";
  EXPECT_LT(ended.seconds, 5.0) << "the others are not waited for";
}

TEST(AFailingRank, EndsAJobOfWhichItRunsATask) {
  expect_quick_end(0, "task");
  expect_quick_end(2, "task");
}

TEST(AFailingRank, EndsAJobThatWaitsForIt) {
  expect_quick_end(0, "collective");
  expect_quick_end(3, "collective");
}

}  // namespace
}  // namespace perfpipe
