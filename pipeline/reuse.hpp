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

}  // namespace perfpipe
