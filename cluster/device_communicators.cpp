#include "cluster/device_communicators.hpp"

#include "core/cuda_library.hpp"
#include "core/error.hpp"

#include <map>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

class HostCommunicator final : public DeviceCommunicator {
 public:
  HostCommunicator(Communicator& ranks, const CudaCopyTable& copies, const NcclPlace& place)
      : copies_(copies), place_(place), ranks_(ranks.split(0, "ranks that sum through the host")) {}

  int rank() const override { return ranks_->rank(); }
  int size() const override { return ranks_->size(); }

  void allreduce_sum(std::int64_t* values, std::size_t count, Stream stream, const std::string& what) override {
    reduce(values, count, stream, what, [&](std::span<std::int64_t> host) { ranks_->allreduce_sum(host, what); });
  }
  void allreduce_max(double* values, std::size_t count, Stream stream, const std::string& what) override {
    reduce(values, count, stream, what, [&](std::span<double> host) { ranks_->allreduce_max(host, what); });
  }
  void wait(Stream stream, const std::string& what) override { check(copies_.wait(stream), what); }

 private:
  template <class T, class Over>
  void reduce(T* values, std::size_t count, Stream stream, const std::string& what, const Over& over_ranks) {
    if (size() == 1 || count == 0) return;
    std::vector<T> host(count);
    check(copies_.to_host(host.data(), values, count * sizeof(T), stream), what);
    over_ranks(std::span<T>(host));
    check(copies_.to_device(values, host.data(), count * sizeof(T), stream), what);
  }
  void check(const std::string& problem, const std::string& what) const {
    if (!problem.empty())
      throw DeviceError(fmt::format("{}: rank {} of {} on {}: {}", what, rank(), size(), place_.uuid, problem));
  }

  const CudaCopyTable& copies_;
  NcclPlace place_;
  std::unique_ptr<Communicator> ranks_;
};

}  // namespace

std::unique_ptr<DeviceCommunicator> make_host_communicator(Communicator& ranks, const CudaCopyTable& copies,
                                                           const NcclPlace& place) {
  return std::make_unique<HostCommunicator>(ranks, copies, place);
}

std::string why_not_nccl(const std::vector<std::string>& uuids, const std::vector<std::string>& problems) {
  if (uuids.size() == 1) return "one rank sums nothing";
  std::map<std::string, std::size_t> rank_of;
  for (std::size_t rank = 0; rank < uuids.size(); ++rank) {
    if (!problems[rank].empty()) return fmt::format("rank {}: {}", rank, problems[rank]);
    if (const auto [other, fresh] = rank_of.emplace(uuids[rank], rank); !fresh)
      return fmt::format("ranks {} and {} share {}", other->second, rank, uuids[rank]);
  }
  return "";
}

std::unique_ptr<DeviceCommunicator> make_device_communicator(Communicator& ranks, const NcclPlace& place,
                                                             std::string& how) {
  const auto& nccl = cuda_table<NcclTable>();
  const auto uuids = ranks.gather(place.uuid, 0, "GPUs of the group");
  const auto problems = ranks.gather(nccl.problem(), 0, "NCCL of the group");
  const auto reason =
      ranks.broadcast(ranks.rank() == 0 ? why_not_nccl(uuids, problems) : "", 0, "the way between GPUs");
  how = reason.empty() ? "NCCL " + nccl_version() : "MPI through the host: " + reason;
  if (reason.empty()) return make_nccl_communicator(ranks, nccl, place);
  return make_host_communicator(ranks, cuda_table<CudaCopyTable>(), place);
}

}  // namespace perfpipe
