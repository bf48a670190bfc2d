// The ranks of a group that compute on GPUs, by the best way there is between them.
#pragma once

#include "cluster/cuda_copies.hpp"
#include "cluster/nccl_communicator.hpp"

#include <memory>
#include <string>
#include <vector>

namespace perfpipe {

/// Collective. Sums over MPI through the host: any number of ranks on a GPU, no time limit but MPI's.
std::unique_ptr<DeviceCommunicator> make_host_communicator(Communicator& ranks, const CudaCopyTable& copies,
                                                           const NcclPlace& place);

/// Collective. NCCL where every rank has a GPU of its own and NCCL is there on all of them, else MPI through the host;
/// `how` says which and why. The bits are the same. Throws DeviceError.
std::unique_ptr<DeviceCommunicator> make_device_communicator(Communicator& ranks, const NcclPlace& place,
                                                             std::string& how);

/// The choice itself, by what the ranks say: why they cannot use NCCL; empty if they can. `problems[r]` is rank r's.
std::string why_not_nccl(const std::vector<std::string>& uuids, const std::vector<std::string>& problems);

}  // namespace perfpipe
