// Errors and exit codes: every failure carries the exit code that ends the program, and a message written for a person.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace perfpipe {

/// What the program returns to the shell. The numbers are a promise to users (see docs/inputs.md).
enum class ExitCode : int {
  done = 0,
  config = 2,     ///< command line or job file
  input = 3,      ///< the patients' data
  io = 4,         ///< output folder unusable, read or write failure, disk full
  device = 5,     ///< GPU or communication between ranks
  partial = 6,    ///< finished, but some patients or trainings failed
  resumable = 75  ///< stopped by a signal; the same command goes on from here
};

/// Base of all errors that end the job. The message names the file, the field, both values and the remedy.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

struct ConfigError : Error {
  explicit ConfigError(const std::string& message) : Error(ExitCode::config, message) {}
};
struct InputError : Error {
  explicit InputError(const std::string& message) : Error(ExitCode::input, message) {}
};
struct IoError : Error {
  explicit IoError(const std::string& message) : Error(ExitCode::io, message) {}
};
struct DeviceError : Error {
  explicit DeviceError(const std::string& message) : Error(ExitCode::device, message) {}
};

/// Ends one task (a training that diverged), not the job: the others go on and the program returns ExitCode::partial.
class TaskFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Collects everything that is wrong, so that a user sees all findings at once and not the first alone.
class Findings {
 public:
  /// `where` is a file, `job.yaml:12:17` or a command-line option; `what` says field, value found, what is allowed,
  /// remedy.
  void add(const std::string& where, const std::string& what) { lines_.push_back(where + ": " + what); }
  /// Takes over the findings of another, each with `remark` (may be empty) at its end.
  void merge(const Findings& other, const std::string& remark = "") {
    for (const auto& line : other.lines_) lines_.push_back(line + remark);
  }
  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }

  /// Throws one Error with every finding on a line of its own; does nothing when there is none.
  void throw_if_any(ExitCode code) const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace perfpipe
