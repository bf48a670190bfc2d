// Which rank computes on which GPU.
#pragma once

#include "cluster/cuda_devices.hpp"
#include "core/communicator.hpp"
#include "core/device.hpp"

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace perfpipe {

/// More ranks than this on one GPU are refused: each keeps half a gigabyte of it and takes turns with the others.
inline constexpr int max_ranks_per_gpu = 8;

/// What one rank sees.
struct RankView {
  std::string node;              ///< host name, for messages
  int node_number = 0;           ///< smallest rank of the node: tells nodes apart, whatever they are called
  int local_rank = 0;            ///< number among the ranks of its node
  std::vector<CudaDevice> gpus;  ///< by CUDA's index in that process
  std::string problem;           ///< why there is none
};

/// Who computes where.
struct Placement {
  bool cuda = false;
  std::vector<int> gpu_of_rank;  ///< index into the rank's own `gpus`; empty on the CPU
  std::string kind = "cpu";      ///< Device::kind
  int most_ranks_on_one_gpu = 0;
  std::string summary;  ///< for the log: "2 ranks on 2 GPUs (NVIDIA H100 80GB HBM3)" or "the CPU: no GPU on ..."
  std::string warning;  ///< that `auto` does not use GPUs which are there, and what would help
};

/// The rule. GPUs are told apart by their UUID, so it does not matter whether every rank sees all GPUs of its node
/// (mpirun) or its own alone (a scheduler's binding, CUDA_VISIBLE_DEVICES): ranks are spread so that the fullest GPU
/// has as few as can be, neighbours share one. All ranks compute on GPUs of one compute capability, or all on the CPU:
/// with `automatic` where a rank has no GPU, GPUs differ, or ranks crowd; with `cuda` that is a DeviceError that names
/// ranks, nodes and the remedy.
Placement place(const std::vector<RankView>& ranks, DeviceChoice choice);

// Views travel between ranks as JSON.
nlohmann::json to_json(const RankView& view);
RankView rank_view(const nlohmann::json& json);

/// Collective: asks every rank what it sees, and gives each its device. `gpus` and `problem` are what
/// visible_cuda_devices() says on this rank. On rank 0 throws as place() does; the others then wait for the end that
/// the caller prepares. `placement` is filled on all ranks.
Device place_this_rank(Communicator& communicator, DeviceChoice choice, const std::vector<CudaDevice>& gpus,
                       const std::string& problem, Placement& placement);

}  // namespace perfpipe
