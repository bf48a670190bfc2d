// What a stage is: options, ports, and a run() that turns the inputs of one task into its artifact.
#pragma once

#include "core/cohort.hpp"
#include "core/communicator.hpp"
#include "core/device.hpp"
#include "core/device_communicator.hpp"
#include "core/log.hpp"
#include "core/options.hpp"
#include "core/store.hpp"

#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// What one task of a stage covers.
enum class Scope {
  cohort,   ///< one task that sees all patients
  patient,  ///< one task for each series
  fold      ///< one task for each held-out subject and parameter
};

/// What a stage reads: the dataset of the latest stage before it that writes it.
struct ReadPort {
  DatasetSpec dataset;
  std::string from = {};     ///< only from the stage of this name (`as:`), if not empty
  bool all_writers = false;  ///< from every earlier stage that writes it, not the latest alone
  bool optional = false;     ///< no writer is no error
};

struct Ports {
  std::vector<ReadPort> reads;
  std::vector<DatasetSpec> writes;
};

/// One task of the plan.
struct TaskInfo {
  std::string stage;  ///< the stage's name in this job
  std::string name;   ///< "sub-01", "fold-sub-01_cbf", "cohort"
  Scope scope = Scope::cohort;
  int series = -1;           ///< index into the cohort; patient scope
  std::string subject;       ///< patient scope
  std::string held_out;      ///< subject that this task must not see; fold scope
  Parameter parameter = {};  ///< fold scope
  std::string id() const { return stage + "/" + name; }
};

/// The job's settings that stages may use.
struct JobInfo {
  std::filesystem::path output;
  std::uint64_t seed = 1;
  int threads = 1;                      ///< this rank may compute with so many
  Device device;                        ///< where stages compute that can compute on GPUs
  std::size_t slab_bytes = 256u << 20;  ///< stages hold about this much of a series at once
  nlohmann::ordered_json resolved;      ///< the whole job with all defaults
  std::filesystem::path cohort;         ///< for provenance
};

/// An input that a task may open.
struct TaskInput {
  TaskInfo task;
  std::filesystem::path file;
  std::string port;
};

/// An input that is not there, because the task that makes it failed.
struct FailedInput {
  TaskInfo task;
  std::string port;
  std::string reason;  ///< as that task told it
};

/// The store as one task may see it: its declared inputs and nothing else. Opening anything of a fold's held-out
/// subject is an error, whoever asks.
class StoreView {
 public:
  /// `held_out` is empty where nobody is held out. Throws Error if an input is of the held-out subject.
  StoreView(std::string task, std::string held_out, std::vector<TaskInput> inputs,
            std::vector<FailedInput> failed = {});

  /// All inputs of a port, in the order of the cohort (and of the parameters); several stages: in the job's order.
  std::vector<TaskInput> inputs(const std::string& port) const;
  /// The only input of a port. Throws TaskFailure if there is none (the plan gives every declared port one: the task
  /// that makes it failed), Error if there is more than one.
  ArtifactReader open(const std::string& port) const;
  ArtifactReader open(const TaskInput& input) const;
  /// The inputs that failed, for stages that accept that.
  const std::vector<FailedInput>& failed() const { return failed_; }

 private:
  std::string task_;
  std::string held_out_;
  std::vector<TaskInput> inputs_;
  std::vector<FailedInput> failed_;
};

/// What the runner knows of a task beside its inputs.
struct TaskRun {
  std::filesystem::path artifact = {};    ///< where its result will lie, or an older one lies
  nlohmann::ordered_json made_from = {};  ///< what its key is computed from
  std::vector<std::string> without = {};  ///< inputs that failed
  Communicator* group = nullptr;          ///< the ranks that share it; nullptr: this one alone
  std::function<std::unique_ptr<DeviceCommunicator>()> gpus_of_group = {};  ///< where there is one, on GPUs
};

/// Everything run() may touch.
class StageContext {
 public:
  StageContext(const TaskInfo& task, const JobInfo& job, const Cohort& cohort, StoreView store, ArtifactWriter& output,
               Log& log, std::function<bool()> stop_requested, TaskRun run = {});

  const TaskInfo& task() const { return task_; }
  const JobInfo& job() const { return job_; }
  /// The series of a patient task.
  const Series& series() const;
  /// The whole cohort; an error in a task that holds a subject out.
  const Cohort& cohort() const;
  const StoreView& store() const { return store_; }
  ArtifactWriter& output() { return output_; }
  Log& log() { return log_; }
  /// True once the job was asked to stop (signal); long tasks look now and then and throw Stopped.
  bool stop_requested() const { return stop_requested_(); }
  /// The ranks that share this task (see Stage::max_ranks); nullptr: this one alone. What their rank 0 writes counts.
  Communicator* group() const { return run_.group; }
  /// Collective: the GPUs of the group. Null where this rank computes alone, or the ranks do on the CPU.
  std::unique_ptr<DeviceCommunicator> gpus_of_group() const {
    return run_.group != nullptr && run_.gpus_of_group ? run_.gpus_of_group() : nullptr;
  }
  bool is_first_of_group() const { return run_.group == nullptr || run_.group->rank() == 0; }

  /// What a state of this task is made from, `ignored` options left out: a state of the same key can be gone on from.
  std::string state_key(const std::vector<std::string>& ignored_options) const;
  /// Saves a state, committed as artifacts are; the one before is replaced. Call it on the group's first rank.
  void save_state(const std::string& key, const std::function<void(ArtifactWriter&)>& write);
  /// States of this key: what save_state() left, and the artifact of an earlier run whose metadata say the same
  /// `state_key`. Those that are damaged are left out.
  std::vector<ArtifactReader> saved_states(const std::string& key) const;
  /// Once the task is committed.
  void remove_state();

  /// A warning of this task: to the log now, and to `warnings` of the artifact's metadata for sidecars and report.
  void warn(const std::string& message);
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Writes a file below the output folder (through `write`, which gets the path, or as bytes); it counts as part of
  /// what this task leaves: missing or changed, the task runs again.
  void publish(const std::filesystem::path& relative, const std::function<void(const std::filesystem::path&)>& write);
  void publish(const std::filesystem::path& relative, std::string_view bytes);

  /// Number of slices to work on together, at least 1: they fit into the slab memory, and into what stays near the
  /// threads.
  std::int64_t slab_slices(std::int64_t bytes_per_slice) const;

 private:
  TaskInfo task_;
  const JobInfo& job_;
  const Cohort& cohort_;
  StoreView store_;
  ArtifactWriter& output_;
  Log& log_;
  std::filesystem::path state_file() const;

  std::function<bool()> stop_requested_;
  TaskRun run_;
  std::vector<std::string> warnings_;
};

/// Thrown by a task that gives up because the job was asked to stop. Nothing of it is kept.
struct Stopped : std::runtime_error {
  Stopped() : std::runtime_error("stopped on request") {}
};

/// A configured stage of a job.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual Ports ports() const = 0;
  /// Resolved options, for keys, outputs and the report.
  virtual nlohmann::ordered_json parameters() const = 0;
  virtual void run(StageContext& context) const = 0;

  /// The parameters for which a fold stage has tasks.
  virtual std::vector<Parameter> fold_parameters() const { return {all_parameters.begin(), all_parameters.end()}; }
  /// Files outside the store that a task reads: their content is part of the task's key.
  virtual std::vector<std::filesystem::path> files(const TaskInfo&, const Cohort&) const { return {}; }
  /// Facts beside options, inputs and files that change the result (times, echo time of a series).
  virtual nlohmann::json key_facts(const TaskInfo&, const Cohort&) const { return nullptr; }
  /// True if the result depends on the job's seed.
  virtual bool uses_seed() const { return false; }
  /// How many of its tasks a rank with this device had better run at once (run_together()); 1: one after the other.
  virtual int together(const Device&) const { return 1; }
  /// Runs several tasks at once: for each what its run() would have thrown, or nothing. Called where together() is more
  /// than 1.
  virtual std::vector<std::exception_ptr> run_together(const std::vector<StageContext*>& contexts) const;
  /// What it makes of JobInfo::device where that is a GPU.
  virtual DeviceUse device_use() const { return DeviceUse::none; }
  /// True if on the CPU it computes in Device::fast_arithmetic, which is part of the results' keys then.
  virtual bool wants_fast_arithmetic() const { return false; }
  /// True if the output shows the whole job, so that any change of it makes the output stale.
  virtual bool shows_job() const { return false; }
  /// Relative cost of a task (about seconds); the longest chain is started first.
  virtual double cost(const TaskInfo&) const { return 1.0; }
  /// So many ranks may share a task; each runs it with StageContext::group().
  virtual int max_ranks(const TaskInfo&) const { return 1; }
  /// True if a task still makes sense when some of its inputs failed.
  virtual bool accepts_failed_inputs() const { return false; }
  /// What must hold for this cohort before any work.
  virtual void check(const Cohort&, Findings&) const {}
  /// The patients that a stage makes itself (a phantom); then the job needs no cohort.
  virtual std::optional<Cohort> simulated_cohort() const { return std::nullopt; }
};

/// What there is to know about a kind of stage without a job.
struct StageType {
  std::string name;
  Scope scope = Scope::cohort;
  int version = 1;  ///< raised when the same inputs give other results
  std::string summary;
  std::string reference;  ///< paper or document that defines it
  std::vector<OptionHelp> options;
  std::function<std::unique_ptr<Stage>(const ConfigNode& options, Findings& findings)> configure;
};

/// Base of stages whose options are a struct with an OptionTable.
template <class Options>
class StageWith : public Stage {
 public:
  explicit StageWith(Options options, OptionTable<Options> table)
      : options_(std::move(options)), table_(std::move(table)) {}
  nlohmann::ordered_json parameters() const override { return table_.write(options_); }

 protected:
  Options options_;

 private:
  OptionTable<Options> table_;
};

/// Builds the StageType of a class with `static StageType describe()` (name, scope, version, summary, reference),
/// `static OptionTable<Options> table()` and a constructor from (Options, OptionTable<Options>). Where there is a
/// `static void complete(ConfigNode&, Findings&)`, it sees the options as they were written before they are read.
template <class S>
StageType make_stage_type() {
  StageType type = S::describe();
  type.options = S::table().help();
  type.configure = [](const ConfigNode& given, Findings& findings) -> std::unique_ptr<Stage> {
    ConfigNode node = given;
    if constexpr (requires { S::complete(node, findings); }) S::complete(node, findings);
    auto table = S::table();
    auto options = table.read(node, findings);
    return std::make_unique<S>(std::move(options), std::move(table));
  };
  return type;
}

/// Makes the class known under the function that the generated registry calls (see stages/CMakeLists.txt).
#define PERFPIPE_REGISTER_STAGE(name, Class) \
  StageType stage_type_##name() { return make_stage_type<Class>(); }

}  // namespace perfpipe
