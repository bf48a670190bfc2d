#include "cluster/placement.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

using nlohmann::json;

/// Ranks on GPUs with at most `capacity` ranks each, by augmenting paths: -1 where a rank finds no place.
class Matching {
 public:
  Matching(const std::vector<RankView>& ranks, int capacity)
      : ranks_(ranks), capacity_(capacity), gpu_of_rank_(ranks.size(), -1) {
    for (int rank = 0; rank < static_cast<int>(ranks.size()); ++rank) {
      std::set<std::string> visited;
      complete_ = find_place(rank, visited) && complete_;
    }
  }
  bool complete() const { return complete_; }
  const std::vector<int>& gpu_of_rank() const { return gpu_of_rank_; }

 private:
  /// Gives the rank a GPU, asking those that hold one to move where all are full.
  bool find_place(int rank, std::set<std::string>& visited) {
    const auto& gpus = ranks_[static_cast<std::size_t>(rank)].gpus;
    for (int asks = 0; asks < 2; ++asks)
      for (int i = 0; i < static_cast<int>(gpus.size()); ++i) {
        auto& holders = holders_[gpus[static_cast<std::size_t>(i)].uuid];
        if (asks == 0) {
          if (static_cast<int>(holders.size()) >= capacity_) continue;
          take(rank, i);
          return true;
        }
        if (!visited.insert(gpus[static_cast<std::size_t>(i)].uuid).second) continue;
        for (const int holder : std::vector<int>(holders.begin(), holders.end())) {
          if (!find_place(holder, visited)) continue;  // it has left this GPU for another
          take(rank, i);
          return true;
        }
      }
    return false;
  }
  void take(int rank, int gpu) {
    int& held = gpu_of_rank_[static_cast<std::size_t>(rank)];
    const auto& gpus = ranks_[static_cast<std::size_t>(rank)].gpus;
    if (held >= 0) holders_[gpus[static_cast<std::size_t>(held)].uuid].erase(rank);
    held = gpu;
    holders_[gpus[static_cast<std::size_t>(gpu)].uuid].insert(rank);
  }

  const std::vector<RankView>& ranks_;
  int capacity_;
  std::vector<int> gpu_of_rank_;
  std::map<std::string, std::set<int>> holders_;  ///< by UUID
  bool complete_ = true;
};

std::string capability(const CudaDevice& gpu) { return fmt::format("{}.{}", gpu.major, gpu.minor); }

/// "rank 3 on n2: no driver", for the first rank without a GPU, and how many there are.
std::string ranks_without(const std::vector<RankView>& ranks) {
  std::string first;
  int count = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    if (!ranks[rank].gpus.empty()) continue;
    if (++count == 1) first = fmt::format("rank {} on {}: {}", rank, ranks[rank].node, ranks[rank].problem);
  }
  if (count == static_cast<int>(ranks.size())) return ranks.size() == 1 ? ranks[0].problem : first;
  return fmt::format("{} of {} ranks see none ({}); start as many ranks on every node as it has GPUs", count,
                     ranks.size(), first);
}

/// Why these ranks cannot compute on GPUs with these places; empty if they can.
std::string objection(const std::vector<RankView>& ranks, const Matching& matching) {
  std::set<std::string> kinds, capabilities, uuids;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    for (const auto& gpu : ranks[rank].gpus) uuids.insert(gpu.uuid);
    if (!matching.complete()) continue;
    const auto& gpu = ranks[rank].gpus[static_cast<std::size_t>(matching.gpu_of_rank()[rank])];
    kinds.insert(fmt::format("{} ({})", gpu.name, capability(gpu)));
    capabilities.insert(capability(gpu));
  }
  if (!matching.complete())
    return fmt::format(
        "{} ranks on {} GPU{} would be more than {} on one; start at most {} ranks (best is one for each GPU)",
        ranks.size(), uuids.size(), uuids.size() == 1 ? "" : "s", max_ranks_per_gpu, max_ranks_per_gpu * uuids.size());
  if (capabilities.size() > 1)
    return fmt::format(
        "the ranks' GPUs are of different kinds, which round differently: {}; ask for one kind (Slurm: "
        "--gpus-per-node=h100:4; CUDA_VISIBLE_DEVICES)",
        fmt::join(kinds, ", "));
  return "";
}

}  // namespace

json to_json(const RankView& view) {
  json gpus = json::array();
  for (const auto& gpu : view.gpus) gpus.push_back({gpu.name, gpu.uuid, gpu.memory_bytes, gpu.major, gpu.minor});
  return {view.node, view.node_number, view.local_rank, gpus, view.problem};
}

RankView rank_view(const json& of) {
  RankView view{of[0], of[1], of[2], {}, of[4]};
  for (const auto& gpu : of[3]) view.gpus.push_back({gpu[0], gpu[1], gpu[2], gpu[3], gpu[4]});
  return view;
}

Placement place(const std::vector<RankView>& ranks, DeviceChoice choice) {
  Placement placement;
  if (choice == DeviceChoice::cpu) {
    placement.summary = "the CPU (parallel.device = cpu)";
    return placement;
  }
  const bool all_have = std::all_of(ranks.begin(), ranks.end(), [](const auto& view) { return !view.gpus.empty(); });
  const bool none_has = std::all_of(ranks.begin(), ranks.end(), [](const auto& view) { return view.gpus.empty(); });
  std::string reason;
  if (!all_have) {
    reason = ranks_without(ranks);
  } else {
    int capacity = 1;
    while (capacity < max_ranks_per_gpu && !Matching(ranks, capacity).complete()) ++capacity;
    const Matching matching(ranks, capacity);
    reason = objection(ranks, matching);
    if (reason.empty()) {
      placement.cuda = true;
      placement.gpu_of_rank = matching.gpu_of_rank();
      placement.most_ranks_on_one_gpu = capacity;
    }
  }
  if (!placement.cuda) {
    if (choice == DeviceChoice::cuda)
      throw DeviceError("parallel.device = cuda, but " + (none_has ? "there is no GPU: " + reason : reason) +
                        (none_has ? "; device: auto computes on the CPU" : ""));
    placement.summary = none_has ? "the CPU: " + reason : "the CPU";
    if (!none_has) placement.warning = "GPUs are there, but not used: " + reason;
    return placement;
  }
  std::set<std::string> names, uuids;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto& gpu = ranks[rank].gpus[static_cast<std::size_t>(placement.gpu_of_rank[rank])];
    names.insert(gpu.name);
    uuids.insert(gpu.uuid);
    placement.kind = "cuda " + capability(gpu);
  }
  placement.summary = fmt::format(
      "{} rank{} on {} GPU{} ({}){}", ranks.size(), ranks.size() == 1 ? "" : "s", uuids.size(),
      uuids.size() == 1 ? "" : "s", fmt::join(names, ", "),
      placement.most_ranks_on_one_gpu > 1 ? fmt::format(", up to {} on one", placement.most_ranks_on_one_gpu) : "");
  return placement;
}

Device place_this_rank(Communicator& communicator, DeviceChoice choice, const std::vector<CudaDevice>& gpus,
                       const std::string& problem, Placement& placement) {
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  const auto node = communicator.split_by_node("ranks of this node");
  const int number = std::stoi(node->broadcast(std::to_string(communicator.rank()), 0, "number of this node"));
  const RankView view{host, number, node->rank(), gpus, problem};
  const auto views = communicator.gather(to_json(view).dump(), 0, "GPUs that the ranks see");
  json verdict;
  if (communicator.rank() == 0) {
    std::vector<RankView> ranks;
    for (const auto& text : views) ranks.push_back(rank_view(json::parse(text)));
    const Placement made = place(ranks, choice);
    verdict = {made.cuda, made.gpu_of_rank, made.kind, made.most_ranks_on_one_gpu, made.summary, made.warning};
  }
  verdict = json::parse(communicator.broadcast(verdict.dump(), 0, "GPUs of the ranks"));
  placement = {verdict[0], verdict[1].get<std::vector<int>>(), verdict[2], verdict[3], verdict[4], verdict[5]};
  Device device;
  device.kind = placement.kind;
  device.cuda = placement.cuda;
  if (device.cuda) device.index = placement.gpu_of_rank.at(static_cast<std::size_t>(communicator.rank()));
  return device;
}

}  // namespace perfpipe
