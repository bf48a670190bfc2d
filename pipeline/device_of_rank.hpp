// Where the stages of a job compute on this rank.
#pragma once

#include "cluster/placement.hpp"
#include "pipeline/job.hpp"

#include <string>

namespace perfpipe {

struct DeviceOfRank {
  Device device;
  Placement placement;
  std::string gpu;  ///< UUID of this rank's; empty on the CPU
};

/// Collective. Looks for GPUs only where the job asks for them or has a stage that could use them: opening CUDA takes a
/// good part of a second. Ranks of a job with a stage that wants fast arithmetic agree on its kind. Throws DeviceError
/// on rank 0 where the job wants GPUs and cannot have them; the other ranks then wait for the end that the caller
/// prepares.
DeviceOfRank device_of_this_rank(const Job& job, Communicator& communicator);

}  // namespace perfpipe
