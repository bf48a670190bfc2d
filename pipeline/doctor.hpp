// `perfpipe doctor`: what a run would find on these machines, and what is wrong with it.
#pragma once

#include "core/communicator.hpp"
#include "core/error.hpp"
#include "pipeline/doctor_facts.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace perfpipe {

/// What is wrong, and the code to end with: io where output cannot be written, device where a GPU does not compute;
/// warnings alone leave done.
struct Diagnosis {
  std::vector<std::string> warnings;
  std::vector<std::string> errors;
  ExitCode code = ExitCode::done;
};

/// Judges the ranks' facts: versions that differ between ranks, cores that ranks fight for or leave idle, GPUs that do
/// not compute, and a full or read-only disk. `bound_by_scheduler`: cores that no rank may use are others' then.
Diagnosis diagnose(const std::vector<RankFacts>& ranks, bool bound_by_scheduler);

/// "0-3,8" of 0, 1, 2, 3, 8.
std::string core_ranges(const std::vector<int>& cores);

/// Collective: looks at all ranks' machines and prints a report on rank 0. The same code on all ranks.
ExitCode run_doctor(Communicator& communicator, const std::filesystem::path& output);

}  // namespace perfpipe
