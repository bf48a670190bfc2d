// What one rank finds on its machine, for `perfpipe doctor`.
#pragma once

#include "cluster/placement.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace perfpipe {

struct RankFacts {
  RankView place;  ///< node, number on it, GPUs
  /// Name and version of everything, in the order in which it is shown: what should be the same on all ranks.
  std::vector<std::pair<std::string, std::string>> versions;
  std::vector<int> cores;               ///< that this rank may use
  int cores_of_node = 0;                ///< that are switched on
  std::vector<std::string> gpu_trials;  ///< for each GPU, why a small kernel did not run on it; empty if it did
  std::string disk_folder;              ///< where output would go: the first folder above it that is there
  double free_gibibytes = -1.0;         ///< there, for this user; negative if it cannot be asked
  bool writable = false;
};

/// Looks at this machine. `node_number` and `local_rank` are those of RankView; `output` is where a job would write.
/// Never throws for what is missing: that is a fact too.
RankFacts facts_of_this_rank(int node_number, int local_rank, const std::filesystem::path& output);

// Facts travel between ranks as JSON.
nlohmann::json to_json(const RankFacts& facts);
RankFacts rank_facts(const nlohmann::json& json);

}  // namespace perfpipe
