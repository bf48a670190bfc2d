#include "pipeline/reuse.hpp"

#include "core/hash.hpp"
#include "core/parallel.hpp"
#include "core/store.hpp"

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

std::string published_problem(const ArtifactReader& artifact, const fs::path& output) {
  for (const auto& file : artifact.published()) {
    const auto path = output / file.path;
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return fmt::format("its file {} is missing", file.path);
    if (hash_file(path) != file.hash) return fmt::format("its file {} was changed", file.path);
  }
  return "";
}

ReuseVerdict judge_key(const PlannedTask& task, const fs::path& file) {
  const auto head = read_artifact_head(file);
  if (!head) {
    std::error_code error;
    if (fs::exists(file, error)) return {false, true, "its artifact is damaged or not ours"};
    return {false, false, "it has not run yet"};
  }
  if (head->key == task.key) return {true, false, "nothing it depends on has changed"};
  return {false, false, ""};
}

}  // namespace

std::vector<ReuseVerdict> judge_reuse(const std::vector<PlannedTask>& plan, const fs::path& output, int threads) {
  std::vector<ReuseVerdict> verdicts(plan.size());
  // Hashing is most of the work and needs no HDF5, which is not thread-safe: it is shared among threads.
  parallel_blocks(plan.size(), 1, threads, [&](std::size_t i, std::size_t) {
    const auto file = artifact_path(output, plan[i].info);
    verdicts[i] = judge_key(plan[i], file);
    if (!verdicts[i].reuse) return;
    const auto head = read_artifact_head(file);
    if (!head || !artifact_is_intact(file, *head))
      verdicts[i] = {false, true, "its artifact is damaged: the bytes are not those that were written"};
  });
  for (std::size_t i = 0; i < plan.size(); ++i) {
    auto& verdict = verdicts[i];
    if (verdict.damaged || verdict.reason == "it has not run yet") continue;
    const auto file = artifact_path(output, plan[i].info);
    try {
      const ArtifactReader artifact(file);
      if (verdict.reuse) {
        const auto problem = published_problem(artifact, output);
        if (!problem.empty()) verdict = {false, false, problem};
      } else {
        verdict.reason = explain_difference(artifact.made_from(), plan[i].made_from);
      }
    } catch (const IoError& error) {
      verdict = {false, true, std::string("its artifact is damaged: ") + error.what()};
    }
  }
  return verdicts;
}

bool is_done_without(const PlannedTask& task, const std::vector<std::string>& missing, const fs::path& output) {
  if (missing.empty()) return false;
  const auto file = artifact_path(output, task.info);
  const auto head = read_artifact_head(file);
  if (!head || head->key != key_without(task.key, missing) || !artifact_is_intact(file, *head)) return false;
  try {
    return published_problem(ArtifactReader(file), output).empty();
  } catch (const IoError&) {
    return false;
  }
}

}  // namespace perfpipe
