// Ranks that sum in GPU memory through NCCL, with a time limit on everything.
#pragma once

#include "cluster/nccl.hpp"
#include "core/communicator.hpp"
#include "core/device_communicator.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace perfpipe {

/// Which GPU this rank computes on.
struct NcclPlace {
  int gpu = 0;       ///< CUDA's index in this process
  std::string uuid;  ///< NCCL wants one rank for each GPU
};

struct NcclLimits {
  std::chrono::milliseconds start{120'000};      ///< until all ranks have met: NCCL looks at the network first
  std::chrono::milliseconds operation{120'000};  ///< for each wait; other ranks may come to it late
  std::chrono::milliseconds abort{5'000};        ///< for NCCL to give up
};

/// Collective. The unique id travels over `ranks`, after it has been seen that no two ranks are on one GPU. A rank that
/// fails tells the others over `ranks`, so that all fail at once with the first one's words; one that dies or hangs
/// without a word is noticed at the time limit. Throws DeviceError.
std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& ranks, const NcclTable& nccl,
                                                           const NcclPlace& place, const NcclLimits& limits = {});

}  // namespace perfpipe
