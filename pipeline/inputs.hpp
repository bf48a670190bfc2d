// The files that a job reads from outside its store: found, checked on all ranks together, and hashed.
#pragma once

#include "core/communicator.hpp"
#include "pipeline/job.hpp"
#include "pipeline/plan.hpp"

namespace perfpipe {

struct CheckedInputs {
  Cohort cohort;
  FileHashes hashes;
};

/// Collective. Rank 0 finds the series and checks their headers; every rank then reads the voxel values and hashes the
/// files of its share of the series (what was judged before and has not changed since is not read again: the verdicts
/// are kept in OUT/store/inputs.json). All findings of all series are thrown together on rank 0, as InputError, before
/// any work; on other ranks the call then does not return. Under `on_error: skip` bad series are left out instead.
CheckedInputs check_inputs(const Job& job, Communicator& communicator, int threads);

}  // namespace perfpipe
