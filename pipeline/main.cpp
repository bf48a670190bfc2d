// The executable: command line, ranks, exit codes.
#include "cluster/last_words.hpp"
#include "cluster/mpi_communicator.hpp"
#include "cluster/serial_communicator.hpp"
#include "core/signals.hpp"
#include "core/version.hpp"
#include "model/blas_threads.hpp"
#include "pipeline/doctor.hpp"
#include "pipeline/help.hpp"
#include "pipeline/runner.hpp"
#include "pipeline/verify.hpp"
#include "pipeline/weights_listing.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace perfpipe;

struct CommandLine {
  std::string job;
  JobOverrides overrides;
  bool dry_run = false;
  bool explain = false;
  bool list_stages = false;
  std::string one_stage;
  std::vector<std::string> weight_files;
  std::string verified;
  bool validate = false;
  bool doctor = false;
  std::string doctor_output = ".";
};

/// The job file and what changes it, for running and for validating.
void add_job_options(CLI::App& app, CommandLine& line) {
  app.add_option("JOB", line.job, "the job file (YAML); examples are in configs/");
  app.add_option("--output", line.overrides.output, "folder to write to, instead of the job's `output`")
      ->type_name("DIR");
  app.add_option("--cohort", line.overrides.cohort, "folder with the patients' series, instead of the job's `cohort`")
      ->type_name("DIR");
  app.add_option("--set", line.overrides.settings,
                 "change one value of the job, e.g. --set aif.method=file; may be repeated")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
}

/// Fills `line`; returns an exit code if the program is to end here (help, version, errors).
std::optional<int> parse_command_line(int argc, char** argv, CommandLine& line) {
  CLI::App app{
      "perfpipe estimates CBF, CBV, MTT and Tmax from perfusion series, by deconvolution and by networks trained "
      "leave-one-patient-out.\n"
      "Under mpirun or srun its ranks share the work; the results do not depend on how many there are."};
  app.name("perfpipe");
  app.set_version_flag("--version", std::string(version));
  add_job_options(app, line);
  app.add_flag("--dry-run", line.dry_run,
               "print the tasks, what each reads and writes, and what would be reused; run nothing");
  app.add_flag("--explain", line.explain, "print why each task would run or be reused; run nothing");
  auto* stages = app.add_subcommand("stages", "list the stages with their options, ranges, defaults and meaning");
  stages->add_option("STAGE", line.one_stage, "only this stage");
  auto* weights = app.add_subcommand("weights", "print what weight files (.safetensors) hold");
  weights->add_option("FILE", line.weight_files, "weight files")->required();
  auto* validate = app.add_subcommand("validate", "check a job file and all its input; run nothing");
  add_job_options(*validate, line);
  validate->get_option("JOB")->required();
  auto* verify = app.add_subcommand("verify", "check that everything a run left is what it wrote");
  verify->add_option("OUT", line.verified, "output folder of the run")->required();
  auto* doctor = app.add_subcommand(
      "doctor",
      "say what these machines have (versions, GPUs, cores of each rank) and what is wrong; also under mpirun");
  doctor->add_option("--output", line.doctor_output, "folder that a job would write to")->type_name("DIR");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? static_cast<int>(ExitCode::done) : static_cast<int>(ExitCode::config);
  }
  line.list_stages = stages->parsed();
  line.validate = validate->parsed();
  line.doctor = doctor->parsed();
  if (!line.list_stages && !line.doctor && !weights->parsed() && !verify->parsed() && line.job.empty()) {
    fmt::print(stderr, "perfpipe: no job file given: perfpipe configs/cv.yaml; perfpipe --help says more\n");
    return static_cast<int>(ExitCode::config);
  }
  return std::nullopt;
}

ExitCode run(const CommandLine& line, Communicator& communicator) {
  use_no_blas_threads();
  if (line.doctor) return run_doctor(communicator, line.doctor_output);
  Log log(communicator.rank());
  // Rank 0 alone reads the file; the others get the same bytes, or never go on if it cannot be read.
  std::string text;
  if (communicator.rank() == 0) {
    text = read_config_text(line.job);
    parse_job(text, line.job, line.overrides);  // errors are told once, by rank 0
  }
  text = communicator.broadcast(std::move(text), 0, "the job file");
  const Job job = parse_job(text, line.job, line.overrides);
  catch_stop_signals();
  const RunMode mode = line.validate  ? RunMode::validate
                       : line.explain ? RunMode::explain
                       : line.dry_run ? RunMode::dry_run
                                      : RunMode::run;
  return run_job(job, mode, communicator, log);
}

/// Code and text of whatever was thrown.
std::pair<int, std::string> describe_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    std::string text = error.what();
    if (text.find(std::strerror(ENOSPC)) != std::string::npos)
      text += "; free some space and run the same command again: what is finished is kept";
    return {static_cast<int>(error.code()), text};
  } catch (const std::bad_alloc&) {
    return {static_cast<int>(ExitCode::io), "out of memory; lower parallel.slab_memory or use fewer ranks"};
  } catch (const std::exception& error) {
    return {static_cast<int>(ExitCode::io), fmt::format("internal error: {}", error.what())};
  }
}

int run_serial(const CommandLine& line) {
  try {
    return static_cast<int>(run(line, *make_serial_communicator()));
  } catch (...) {
    const auto [code, text] = describe_current_exception();
    fmt::print(stderr, "perfpipe: error: {}\n", text);
    return code;
  }
}

int run_mpi(const CommandLine& line, int argc, char** argv) {
  int rank = 0;
  try {
    MpiRuntime mpi(argc, argv);
    const auto world = mpi.world();
    rank = world->rank();
    return static_cast<int>(run(line, *world));
  } catch (...) {
    // The only way out that hangs no other rank.
    const auto [code, text] = describe_current_exception();
    const std::string words = fmt::format("perfpipe: error on rank {}: {}\n", rank, text);
    // mpirun waits for last words; Slurm kills whoever would say them.
    if (std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr)
      leave_last_words(words);
    else
      fmt::print(stderr, "{}", words);
    MpiRuntime::abort_all(code);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // HDF5 locks files by default, which fails on cluster file systems without locks; each of ours has one writer anyway.
  ::setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
  CommandLine line;
  if (const auto code = parse_command_line(argc, argv, line)) return *code;
  if (line.list_stages) return print_stages(line.one_stage) ? 0 : static_cast<int>(ExitCode::config);
  if (!line.weight_files.empty()) return static_cast<int>(print_weights(line.weight_files));
  try {
    if (!line.verified.empty()) return static_cast<int>(print_verification(line.verified));
    if (!perfpipe::started_under_mpi()) return run_serial(line);
  } catch (const perfpipe::Error& error) {
    fmt::print(stderr, "perfpipe: error: {}\n", error.what());
    return static_cast<int>(error.code());
  }
  return run_mpi(line, argc, argv);
}
