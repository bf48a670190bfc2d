#include "core/stage.hpp"

#include "core/atomic_file.hpp"
#include "core/hash.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace perfpipe {

StoreView::StoreView(std::string task, std::string held_out, std::vector<TaskInput> inputs,
                     std::vector<FailedInput> failed)
    : task_(std::move(task)), held_out_(std::move(held_out)), inputs_(std::move(inputs)), failed_(std::move(failed)) {
  for (const auto& input : inputs_) {
    const bool other_fold = input.task.scope == Scope::fold && input.task.held_out != held_out_;
    if (!held_out_.empty() && (input.task.subject == held_out_ || other_fold || input.task.scope == Scope::cohort))
      throw Error(ExitCode::config, fmt::format("{}: leakage: {} holds out {} and must not read {}",
                                                input.file.string(), task_, held_out_, input.task.id()));
  }
}

std::vector<TaskInput> StoreView::inputs(const std::string& port) const {
  std::vector<TaskInput> found;
  for (const auto& input : inputs_)
    if (input.port == port) found.push_back(input);
  return found;
}

ArtifactReader StoreView::open(const std::string& port) const {
  const auto found = inputs(port);
  if (found.empty()) throw TaskFailure(fmt::format("its input '{}' is missing: the task that makes it failed", port));
  if (found.size() > 1)
    throw Error(ExitCode::config,
                fmt::format("{}: port '{}' has {} inputs where one is needed", task_, port, found.size()));
  return open(found.front());
}

ArtifactReader StoreView::open(const TaskInput& input) const {
  if (!held_out_.empty() && input.task.subject == held_out_)
    throw Error(ExitCode::config, fmt::format("{}: leakage: {} holds out {} and must not read {}", input.file.string(),
                                              task_, held_out_, input.task.id()));
  const bool declared = std::any_of(inputs_.begin(), inputs_.end(), [&](const TaskInput& known) {
    return known.file == input.file && known.task.id() == input.task.id();
  });
  if (!declared)
    throw Error(ExitCode::config,
                fmt::format("{}: {} is not a declared input of {}", input.file.string(), input.task.id(), task_));
  return ArtifactReader(input.file);
}

std::vector<std::exception_ptr> Stage::run_together(const std::vector<StageContext*>& contexts) const {
  std::vector<std::exception_ptr> thrown;
  for (auto* const context : contexts) {
    thrown.emplace_back();
    try {
      run(*context);
    } catch (...) {
      thrown.back() = std::current_exception();
    }
  }
  return thrown;
}

StageContext::StageContext(const TaskInfo& task, const JobInfo& job, const Cohort& cohort, StoreView store,
                           ArtifactWriter& output, Log& log, std::function<bool()> stop_requested, TaskRun run)
    : task_(task),
      job_(job),
      cohort_(cohort),
      store_(std::move(store)),
      output_(output),
      log_(log),
      stop_requested_(std::move(stop_requested)),
      run_(std::move(run)) {}

std::string StageContext::state_key(const std::vector<std::string>& ignored_options) const {
  auto from = run_.made_from;
  for (const auto& option : ignored_options)
    if (from.contains("options")) from["options"].erase(option);
  return hash128(from.dump() + " without " + join(run_.without));
}

std::filesystem::path StageContext::state_file() const {
  auto file = run_.artifact;
  return file.replace_extension(".state.h5");
}

void StageContext::save_state(const std::string& key, const std::function<void(ArtifactWriter&)>& write) {
  ArtifactWriter writer(state_file(), key, run_.made_from);
  write(writer);
  writer.commit();
}

std::vector<ArtifactReader> StageContext::saved_states(const std::string& key) const {
  std::vector<ArtifactReader> states;
  for (const auto& file : {state_file(), run_.artifact}) {
    const auto head = read_artifact_head(file);
    if (!head || !artifact_is_intact(file, *head)) continue;
    try {
      ArtifactReader state(file);
      if (head->key == key || state.metadata().value("state_key", "") == key) states.push_back(std::move(state));
    } catch (const IoError&) {  // damaged: as if it were not there
    }
  }
  return states;
}

void StageContext::remove_state() {
  std::error_code ignored;
  std::filesystem::remove(state_file(), ignored);
}

const Series& StageContext::series() const {
  if (task_.scope != Scope::patient || task_.series < 0)
    throw Error(ExitCode::config, task_.id() + ": only a patient task has a series");
  return cohort_.series.at(static_cast<std::size_t>(task_.series));
}

const Cohort& StageContext::cohort() const {
  if (!task_.held_out.empty())
    throw Error(ExitCode::config, fmt::format("{}: leakage: a task that holds out {} must not see the whole cohort",
                                              task_.id(), task_.held_out));
  return cohort_;
}

void StageContext::warn(const std::string& message) {
  log_.warn(task_.id() + ": " + message);
  warnings_.push_back(message);
}

void StageContext::publish(const std::filesystem::path& relative,
                           const std::function<void(const std::filesystem::path&)>& write) {
  const auto path = job_.output / relative;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) throw IoError(path.parent_path().string() + ": the folder cannot be created: " + error.message());
  write(path);
  output_.add_published({relative.string(), hash_file(path)});
}

void StageContext::publish(const std::filesystem::path& relative, std::string_view bytes) {
  publish(relative, [&](const std::filesystem::path& path) { write_file_atomically(path, bytes); });
}

std::int64_t StageContext::slab_slices(std::int64_t bytes_per_slice) const {
  // Thicker slabs gain nothing: 16 MiB keep a thread busy for milliseconds, and their memory is used again and again,
  // where the system would clear every page of thick ones anew.
  const auto near = static_cast<std::int64_t>(std::max(1, job_.threads)) << 24;
  const auto bytes = std::min(near, static_cast<std::int64_t>(job_.slab_bytes));
  return std::max<std::int64_t>(1, bytes / std::max<std::int64_t>(1, bytes_per_slice));
}

}  // namespace perfpipe
