// Which tasks of a plan need not run, because what they leave is there already and whole.
#pragma once

#include "pipeline/plan.hpp"

#include <string>
#include <vector>

namespace perfpipe {

struct ReuseVerdict {
  bool reuse = false;
  bool damaged = false;  ///< an artifact of the right key is not what was written
  std::string reason;    ///< for --explain
};

/// Judges every task: the artifact's key, the hash of its bytes, and the files that it published. Reads all artifacts.
std::vector<ReuseVerdict> judge_reuse(const std::vector<PlannedTask>& plan, const std::filesystem::path& output,
                                      int threads);

/// Whether a task that must do without some of its inputs was done without the same ones before: its artifact has the
/// key key_without() and it and the files that it published are whole.
bool is_done_without(const PlannedTask& task, const std::vector<std::string>& missing,
                     const std::filesystem::path& output);

}  // namespace perfpipe
