// A program as a user starts it: how long it takes and how much memory it needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace perfpipe::bench {

struct ChildRun {
  int code = -1;
  double seconds = 0.0;                           ///< from start to end
  double processor_seconds = 0.0;                 ///< that it computed; less depends on what else the machine does
  std::chrono::system_clock::time_point started;  ///< for the times in its logs
  std::int64_t peak_bytes = 0;                    ///< of the largest process among it and what it has started
};

/// Runs a command and waits for it. What it prints is dropped.
inline ChildRun run_child(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ChildRun run;
  run.started = std::chrono::system_clock::now();
  const auto start = std::chrono::steady_clock::now();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  if (::wait4(pid, &status, 0, &usage) != pid) throw std::runtime_error("wait4 failed");
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  run.processor_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  run.peak_bytes = usage.ru_maxrss * 1024;
  return run;
}

}  // namespace perfpipe::bench
