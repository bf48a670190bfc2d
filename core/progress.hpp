// How far the job is: one line that renews itself on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <string>

namespace perfpipe {

/// Shown by rank 0. Costs are relative; the estimate of the time left is the cost left at the rate so far.
class Progress {
 public:
  /// `total_cost` and `tasks` of what is to be run; `out` is a terminal or not.
  Progress(std::size_t tasks, double total_cost, std::FILE* out);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void started(const std::string& task, int rank);
  void finished(const std::string& task, int rank, double seconds, double cost, const std::string& note);

 private:
  void show_terminal_line();
  void put(const std::string& text);
  std::string time_left() const;
  std::FILE* out_;
  bool terminal_;
  std::size_t tasks_;
  std::size_t done_ = 0;
  double total_cost_;
  double done_cost_ = 0.0;
  std::map<int, std::string> running_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace perfpipe
