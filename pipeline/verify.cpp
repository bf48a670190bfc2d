#include "pipeline/verify.hpp"

#include "core/hash.hpp"
#include "core/store.hpp"
#include "pipeline/plan.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

/// What the last run says of its tasks, in the order of its plan.
struct Manifest {
  struct Task {
    std::string id, key;
    bool done = false;
  };
  std::vector<Task> tasks;
  const Task* find(const std::string& id) const {
    const auto found = std::find_if(tasks.begin(), tasks.end(), [&](const Task& task) { return task.id == id; });
    return found == tasks.end() ? nullptr : &*found;
  }
};

/// Nothing where there is no manifest: the run was killed before its end.
std::optional<Manifest> read_manifest(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  Manifest manifest;
  try {
    const auto json = nlohmann::json::parse(text);
    for (const auto& task : json.at("tasks"))
      manifest.tasks.push_back({task.at("task"), task.at("key"), task.at("status") == "done"});
  } catch (const nlohmann::json::exception& error_in_text) {
    throw IoError(fmt::format("{}: is damaged ({}); run the job again", file.string(), error_in_text.what()));
  }
  return manifest;
}

/// The key that the artifact of a done task must have: without the inputs that failed in that run.
std::string expected_key(const Manifest& manifest, const Manifest::Task& task, const nlohmann::json& made_from) {
  std::vector<std::string> missing;
  if (made_from.is_object() && made_from.contains("inputs"))
    for (const auto& other : manifest.tasks)
      if (!other.done && made_from.at("inputs").contains(other.id)) missing.push_back(other.id);
  return key_without(task.key, missing);
}

class Verifier {
 public:
  Verifier(const fs::path& output, Verification& result)
      : output_(output), result_(result), manifest_(read_manifest(output / "manifest.json")) {}

  void verify(const fs::path& file) {
    ++result_.artifacts;
    const auto head = read_artifact_head(file);
    if (!head) return problem(file, "is not an artifact: its head cannot be read");
    if (!artifact_is_intact(file, *head)) return problem(file, "is damaged: the bytes are not those that were written");
    try {
      const ArtifactReader artifact(file);
      check_key(file, *head, artifact);
      for (const auto& published : artifact.published()) check_published(file, published);
    } catch (const IoError& error) {
      problem(file, std::string("is damaged: ") + error.what());
    }
  }

  /// Tasks that were done and whose artifacts are not there.
  void find_missing() {
    if (!manifest_) return;
    for (const auto& task : manifest_->tasks)
      if (task.done && !fs::exists(output_ / "store" / (task.id + ".h5")))
        problem(output_ / "store" / (task.id + ".h5"), "is missing: the last run has made or used it");
  }

 private:
  void problem(const fs::path& file, const std::string& what) {
    result_.problems.push_back(fmt::format("{}: {}", file.string(), what));
  }

  void check_key(const fs::path& file, const ArtifactHead& head, const ArtifactReader& artifact) {
    if (!manifest_) return;
    const auto* task = manifest_->find((file.parent_path().filename() / file.stem()).string());
    if (task == nullptr || !task->done)
      ++result_.of_other_jobs;
    else if (head.key != expected_key(*manifest_, *task, artifact.made_from()))
      problem(file, fmt::format("has the key {}, and the last run {}: it is of another job", head.key, task->key));
  }

  void check_published(const fs::path& artifact, const PublishedFile& published) {
    ++result_.files;
    const auto file = output_ / published.path;
    std::error_code error;
    if (!fs::is_regular_file(file, error))
      problem(file, fmt::format("is missing: {} has written it", artifact.string()));
    else if (hash_file(file) != published.hash)
      problem(file, fmt::format("is not what {} has written", artifact.string()));
  }

  const fs::path& output_;
  Verification& result_;
  std::optional<Manifest> manifest_;
};

}  // namespace

Verification verify_output(const fs::path& output) {
  std::error_code error;
  std::vector<fs::path> artifacts;
  for (fs::recursive_directory_iterator it(output / "store", error), end; !error && it != end; it.increment(error))
    if (it->is_regular_file(error) && it->path().extension() == ".h5" &&
        !it->path().filename().string().starts_with('.'))  // what a killed run was writing
      artifacts.push_back(it->path());
  if (error)
    throw IoError(fmt::format("{}: cannot be read: {}; give the output folder of a run", (output / "store").string(),
                              error.message()));
  std::sort(artifacts.begin(), artifacts.end());
  Verification result;
  Verifier verifier(output, result);
  for (const auto& file : artifacts) verifier.verify(file);
  verifier.find_missing();
  return result;
}

ExitCode print_verification(const fs::path& output) {
  const auto found = verify_output(output);
  for (const auto& problem : found.problems) fmt::print(stderr, "perfpipe: error: {}\n", problem);
  const std::string looked_at = fmt::format("{} artifacts, {} published files", found.artifacts, found.files);
  if (!found.problems.empty()) {
    fmt::print("{}: {} damaged or missing ({}); run the job again: what is damaged is made anew\n", output.string(),
               found.problems.size(), looked_at);
    return ExitCode::io;
  }
  fmt::print(
      "{}: all is as it was written ({}{})\n", output.string(), looked_at,
      found.of_other_jobs == 0 ? "" : fmt::format("; {} artifacts that the last run did not use", found.of_other_jobs));
  return ExitCode::done;
}

}  // namespace perfpipe
