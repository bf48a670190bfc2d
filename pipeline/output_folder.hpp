// The folder that a job writes to: held by one job at a time, apart from its cohort, free of what a killed job left.
#pragma once

#include "pipeline/job.hpp"

#include <filesystem>
#include <vector>

namespace perfpipe {

/// The output folder, held by one job at a time. Without keep() (the job's input was refused) no folder is left behind
/// that was not there before.
class OutputLock {
 public:
  /// Throws IoError where the folder cannot be made or written to, or another job holds it.
  explicit OutputLock(const std::filesystem::path& output);
  ~OutputLock();
  void keep() { created_.clear(); }
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> created_;  ///< innermost first
  int fd_ = -1;
};

/// An output equal to, inside or above the cohort would mix what is read with what is written: throws ConfigError.
void check_folders(const Job& job);

/// Temporaries of a killed run: nobody else writes here while the lock is held.
void remove_leftovers(const std::filesystem::path& output);

}  // namespace perfpipe
