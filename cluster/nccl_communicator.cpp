#include "cluster/nccl_communicator.hpp"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

using Clock = std::chrono::steady_clock;

class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(Communicator& ranks, const NcclTable& nccl, const NcclPlace& place, const NcclLimits& limits)
      : nccl_(nccl), place_(place), limits_(limits), ranks_(ranks.split(0, "ranks that sum through NCCL")) {
    compare_uuids();
    const std::string id = shared_id();
    try {
      const int result = nccl_.init(&comm_, size(), id.data(), rank(), place_.gpu);
      finish("ncclCommInitRankConfig", result, limits_.start, "starting NCCL");
    } catch (...) {
      abort();  // there will be no destructor
      throw;
    }
  }

  /// Where all is well every rank comes here. After a failure, here or elsewhere, NCCL is told to give up.
  ~NcclCommunicator() override {
    if (comm_ == nullptr) return;
    ending_ = true;
    try {
      if (std::uncaught_exceptions() == 0) {
        finish("ncclCommFinalize", nccl_.finalize(comm_), limits_.operation, "ending NCCL");
        if (nccl_.destroy(comm_) == nccl_success) return;
      }
    } catch (const DeviceError&) {  // results are complete by now: nothing is lost
    }
    abort();
  }

  int rank() const override { return ranks_->rank(); }
  int size() const override { return ranks_->size(); }

  void allreduce_sum(std::int64_t* values, std::size_t count, Stream stream, const std::string& what) override {
    all_reduce(values, count, NcclReduction::sum_of_int64, stream, what);
  }
  void allreduce_max(double* values, std::size_t count, Stream stream, const std::string& what) override {
    all_reduce(values, count, NcclReduction::max_of_double, stream, what);
  }

  void wait(Stream stream, const std::string& what) override {
    need_comm(what);
    std::string problem;
    poll("ncclAllReduce", limits_.operation, what, [&] {
      const auto state = nccl_.stream_state(stream, problem);
      if (state == StreamState::failed) fail(what, "the GPU's stream failed: " + problem);
      // Asked when the stream is done, too: NCCL may have ended its kernel because of an error.
      int error = nccl_success;
      const int asked = nccl_.async_error(comm_, &error);
      if (asked != nccl_success) fail(what, words_of("ncclCommGetAsyncError", asked));
      if (error != nccl_success && error != nccl_in_progress) fail(what, words_of("ncclAllReduce", error));
      return state == StreamState::done;
    });
  }

 private:
  /// Two ranks on one GPU would hang in NCCL, or end with "invalid usage".
  void compare_uuids() {
    const auto uuids = ranks_->gather(place_.uuid, 0, "GPUs for NCCL");
    std::string clash;
    std::map<std::string, std::size_t> rank_of;
    for (std::size_t r = 0; r < uuids.size() && clash.empty(); ++r)
      if (const auto [other, fresh] = rank_of.emplace(uuids[r], r); !fresh)
        clash = fmt::format("starting NCCL: ranks {} and {} are both on {}; NCCL needs a GPU for each rank",
                            other->second, r, uuids[r]);
    clash = ranks_->broadcast(clash, 0, "GPUs for NCCL");
    if (!clash.empty()) throw DeviceError(clash);
  }

  /// NCCL's unique id, from rank 0. All ranks throw if that fails there.
  std::string shared_id() {
    std::string answer(1 + nccl_id_bytes, '\0');  // first byte: whether it went well
    if (rank() == 0) {
      const int result = nccl_.unique_id(answer.data() + 1);
      if (result != nccl_success)
        answer = fmt::format("Estarting NCCL: rank 0 of {} on {}: {}", size(), place_.uuid,
                             words_of("ncclGetUniqueId", result));
    }
    answer = ranks_->broadcast(answer, 0, "NCCL's unique id");
    if (answer[0] != '\0') throw DeviceError(answer.substr(1));
    return answer.substr(1);
  }

  void all_reduce(void* values, std::size_t count, NcclReduction reduction, Stream stream, const std::string& what) {
    need_comm(what);
    finish("ncclAllReduce", nccl_.all_reduce(values, count, reduction, comm_, stream), limits_.operation, what);
  }

  void need_comm(const std::string& what) const {
    if (comm_ == nullptr) throw DeviceError(what + ": NCCL was given up after an error before");
  }

  /// A call of a non-blocking communicator may go on after its return; until it is done no other may be made.
  void finish(const char* call, int result, std::chrono::milliseconds limit, const std::string& what) {
    if (result != nccl_success && result != nccl_in_progress) fail(what, words_of(call, result));
    poll(call, limit, what, [&] {
      int state = nccl_success;
      const int asked = nccl_.async_error(comm_, &state);
      if (asked != nccl_success) fail(what, words_of("ncclCommGetAsyncError", asked));
      if (state != nccl_success && state != nccl_in_progress) fail(what, words_of(call, state));
      return state == nccl_success;
    });
  }

  /// Asks until `done`, another rank has given up, or the time is over.
  void poll(const char* call, std::chrono::milliseconds limit, const std::string& what,
            const std::function<bool()>& done) {
    const auto start = Clock::now();
    for (int round = 0; !done(); ++round) {
      if (const auto word = ranks_->try_receive(any_rank, what)) hear(word->bytes);
      if (ending_ && !failed_end_.empty()) give_up(failed_end_);
      if (Clock::now() - start > limit)
        fail(what, fmt::format("{} is not done after {:.1f} s: another rank hangs or has ended, or the network between "
                               "GPUs is blocked (NCCL_DEBUG=INFO says more)",
                               call, std::chrono::duration<double>(limit).count()));
      // A step's sum takes some 20 us: first without sleep.
      if (round > 1000) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  std::string words_of(const char* call, int result) const {
    std::string words = fmt::format("{}: {}", call, nccl_.error_text(result));
    const char* const more = comm_ == nullptr ? "" : nccl_.last_error(comm_);
    if (more != nullptr && *more != '\0') words += fmt::format(" ({})", more);
    return words;
  }

  /// This rank fails: tells the others, gives NCCL up and throws.
  [[noreturn]] void fail(const std::string& what, const std::string& why) {
    const std::string words = fmt::format("{}: rank {} of {} on {}: {}", what, rank(), size(), place_.uuid, why);
    for (int other = 0; other < size(); ++other)
      if (other != rank()) ranks_->send(other, (ending_ ? at_the_end : at_work) + words, "the end of NCCL");
    give_up(words);
  }
  /// Another rank has failed. If that was when all was done there, this rank need not fail, but not wait for it either.
  void hear(const std::string& word) {
    if (!word.starts_with(at_the_end)) give_up(word.substr(1));
    failed_end_ = word.substr(1);
  }
  [[noreturn]] void give_up(const std::string& words) {
    abort();
    throw DeviceError(words);
  }

  /// Ends what NCCL still does. In a thread that may be left behind: an abort that hangs shall not hang the job, which
  /// is about to end.
  void abort() noexcept {
    if (comm_ == nullptr) return;
    struct Shared {
      std::mutex guard;
      std::condition_variable changed;
      bool done = false;
    };
    try {
      const auto shared = std::make_shared<Shared>();
      std::thread([shared, call = nccl_.abort, comm = comm_] {
        call(comm);
        const std::lock_guard lock(shared->guard);
        shared->done = true;
        shared->changed.notify_all();
      }).detach();
      std::unique_lock lock(shared->guard);
      shared->changed.wait_for(lock, limits_.abort, [&] { return shared->done; });
    } catch (...) {  // no thread to be had: the process is about to end anyway
    }
    comm_ = nullptr;
  }

  static constexpr char at_work = 'w', at_the_end = 'e';
  const NcclTable& nccl_;
  NcclPlace place_;
  NcclLimits limits_;
  bool ending_ = false;
  std::string failed_end_;
  std::unique_ptr<Communicator> ranks_;
  void* comm_ = nullptr;
};

}  // namespace

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& ranks, const NcclTable& nccl,
                                                           const NcclPlace& place, const NcclLimits& limits) {
  return std::make_unique<NcclCommunicator>(ranks, nccl, place, limits);
}

}  // namespace perfpipe
