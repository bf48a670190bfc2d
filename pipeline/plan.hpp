// The tasks of a job, what each reads, and its content key.
#pragma once

#include "pipeline/job.hpp"

#include <map>
#include <string>
#include <vector>

namespace perfpipe {

struct PlannedInput {
  int task = 0;  ///< index into the plan
  std::string port;
};

struct PlannedTask {
  TaskInfo info;
  int stage = 0;  ///< index into Job::stages
  std::vector<PlannedInput> inputs;
  std::vector<std::filesystem::path> files;  ///< outside the store
  double cost = 1.0;
  nlohmann::ordered_json made_from;  ///< everything the result depends on
  std::string key;                   ///< hash of made_from
};

/// Content hashes of the files outside the store that tasks read.
using FileHashes = std::map<std::string, std::string>;

/// All tasks in an order in which inputs come first, on such a device (its index does not matter). Every rank builds
/// the same plan from the same job, cohort and hashes. Inputs follow from the scopes: a patient's task reads that
/// patient's; a fold's task those of all other subjects and of its own fold; a patient's task reads the folds that held
/// that patient's subject out; a cohort's task reads all. Throws ConfigError where a fold would learn from its held-out
/// subject, be it through a chain of other tasks (maps of other patients that networks have made, which saw that
/// subject).
std::vector<PlannedTask> make_plan(const Job& job, const Cohort& cohort, const FileHashes& hashes,
                                   const Device& device = {});

/// Files outside the store that the job's tasks read, each once.
std::vector<std::filesystem::path> external_files(const Job& job, const Cohort& cohort);

std::filesystem::path artifact_path(const std::filesystem::path& output, const TaskInfo& task);

/// What differs between two `made_from`, in words: "option threshold: 0.1 -> 0.2; input aif/sub-01 changed".
std::string explain_difference(const nlohmann::json& before, const nlohmann::json& now);

/// Key of a task that ran without some of its inputs.
std::string key_without(const std::string& key, const std::vector<std::string>& missing);

}  // namespace perfpipe
