// Runs a job on all ranks: inputs, plan, reuse, tasks, manifest.
#pragma once

#include "core/communicator.hpp"
#include "core/log.hpp"
#include "pipeline/job.hpp"

#include <string>

namespace perfpipe {

enum class RunMode { run, dry_run, explain, validate };

/// Collective. Returns the exit code of the job (done, partial or resumable); errors are thrown.
/// `dry_run` prints the tasks, what each reads and writes and what would be reused; `explain` why each runs or is
/// reused; `validate` only says that job and input are sound; these change nothing. A rank other than 0 may wait
/// forever if rank 0 throws: the caller then ends all ranks.
ExitCode run_job(const Job& job, RunMode mode, Communicator& communicator, Log& log);

}  // namespace perfpipe
