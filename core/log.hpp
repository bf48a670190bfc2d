// Log of one rank: text for people on the terminal, JSON lines for programs in OUT/logs/rank-NNN.jsonl.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace perfpipe {

class Log {
 public:
  /// Terminal only, until open() is called. On ranks other than 0 the terminal shows warnings and errors alone.
  explicit Log(int rank);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Starts appending JSON lines to `folder`/rank-NNN.jsonl. Throws IoError.
  void open(const std::filesystem::path& folder);

  void info(const std::string& message);
  void warn(const std::string& message);
  void error(const std::string& message);
  /// A line for the file alone: {"time", "rank", "event", ...fields}.
  void event(const std::string& name, const nlohmann::json& fields);
  int rank() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace perfpipe
