#include "tests/cluster/false_nccl.hpp"

#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace perfpipe::false_nccl {
namespace {

constexpr int remote_error = 6;
constexpr int polls_until_done = 3;  // "in progress" is seen, and waited for
constexpr std::size_t most_bytes = std::size_t{4} << 20;

/// What each rank has put into a sum, in memory that the ranks of this machine share: nobody waits for a rank that does
/// not come. Two slots for each rank, as one may be a sum ahead of another.
class Board {
 public:
  explicit Board(Communicator& ranks) : bytes_(static_cast<std::size_t>(2 * ranks.size()) * sizeof(Slot)) {
    const std::string mine = "/perfpipe-false-nccl-" + std::to_string(::getpid());
    const std::string name = ranks.broadcast(mine, 0, "false NCCL");
    if (ranks.rank() == 0) open(name, O_CREAT | O_EXCL | O_RDWR);
    ranks.barrier("false NCCL");
    if (ranks.rank() != 0) open(name, O_RDWR);
    ranks.barrier("false NCCL");
    if (ranks.rank() == 0) ::shm_unlink(name.c_str());
  }
  ~Board() { ::munmap(slots_, bytes_); }
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  void put(int rank, std::uint64_t sum, const void* values, std::size_t bytes) {
    if (bytes > most_bytes) throw std::runtime_error("false NCCL: too much at once");
    Slot& slot = at(rank, sum);
    std::memcpy(slot.values, values, bytes);
    slot.sum.store(sum, std::memory_order_release);
  }
  /// null: that rank has not come to this sum.
  const char* values(int rank, std::uint64_t sum) {
    const Slot& slot = at(rank, sum);
    return slot.sum.load(std::memory_order_acquire) == sum ? slot.values : nullptr;
  }

 private:
  struct Slot {
    std::atomic<std::uint64_t> sum;  ///< the number of the sum that this is for; from 1
    alignas(64) char values[most_bytes];
  };
  Slot& at(int rank, std::uint64_t sum) { return slots_[static_cast<std::uint64_t>(2 * rank) + sum % 2]; }
  void open(const std::string& name, int flags) {
    const int file = ::shm_open(name.c_str(), flags, 0600);
    void* const memory = file < 0 || ::ftruncate(file, static_cast<off_t>(bytes_)) != 0
                             ? MAP_FAILED
                             : ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0) ::close(file);
    if (memory == MAP_FAILED) throw std::runtime_error("false NCCL: no shared memory");
    slots_ = static_cast<Slot*>(memory);
  }

  std::size_t bytes_;
  Slot* slots_ = nullptr;
};

/// All that this rank's false NCCL knows. One communicator at a time.
struct State {
  int rank = 0, ranks = 1;
  std::unique_ptr<Board> board;
  std::uint64_t sums = 0;  ///< begun
  Fault fault;
  SumsCome come = SumsCome::with_wait;
  Counts counts;
  bool gone = false;               ///< aborted or destroyed
  int busy = 0;                    ///< polls until the last call is done
  int busy_result = nccl_success;  ///< and then
  bool stream_asked = false;
  std::function<bool()> sum;  ///< takes in what has come from others; true when complete
  std::string id;
};
State state;
int handle = 0;  // what a communicator points to

bool faulty(Call call, Fault::Kind kind) {
  return state.fault.call == call && state.fault.kind == kind && state.counts.all_reduce >= state.fault.sums_before;
}

int start(Call call) {
  if (state.gone) ++state.counts.calls_after_abort;
  if (state.busy > 0) ++state.counts.calls_while_busy;
  if (faulty(call, Fault::Kind::error)) return remote_error;
  state.busy = faulty(call, Fault::Kind::never_done) ? 1 << 30 : polls_until_done;
  state.busy_result = faulty(call, Fault::Kind::later_error) ? remote_error : nccl_success;
  return nccl_in_progress;
}

template <class T, class Reduce>
void start_sum(T* values, std::size_t count, const Reduce& reduce) {
  state.board->put(state.rank, ++state.sums, values, count * sizeof(T));
  state.sum = [values, count, reduce, next = 0]() mutable {
    for (; next < state.ranks; ++next) {
      if (next == state.rank) continue;
      const char* const theirs = state.board->values(next, state.sums);
      if (theirs == nullptr) return false;
      for (std::size_t i = 0; i < count; ++i) {
        T one;
        std::memcpy(&one, theirs + i * sizeof(T), sizeof(T));
        values[i] = reduce(values[i], one);
      }
    }
    return true;
  };
}

const std::string& problem() {
  static const std::string none;
  return none;
}
int version(int* number) {
  *number = 22809;
  return nccl_success;
}
const char* error_text(int result) { return result == remote_error ? "false remote error" : "false error"; }
const char* last_error(void*) { return "more words"; }

int unique_id(char* id) {
  if (faulty(Call::unique_id, Fault::Kind::error)) return remote_error;
  std::memset(id, 'i', nccl_id_bytes);
  return nccl_success;
}
int init(void** comm, int, const char* id, int, int) {
  ++state.counts.init;
  state.id = std::string(id, nccl_id_bytes);
  const int result = start(Call::init);
  *comm = result == nccl_in_progress ? &handle : nullptr;
  return result;
}
int async_error(void*, int* result) {
  if (state.gone) ++state.counts.calls_after_abort;
  if (state.counts.all_reduce > 0 && faulty(Call::async_error, Fault::Kind::error)) return remote_error;
  if (state.busy > 0) --state.busy;
  *result = state.busy > 0 ? nccl_in_progress : state.busy_result;
  if (state.come == SumsCome::with_call && state.sum) {
    if (!state.sum())
      *result = nccl_in_progress;
    else
      state.sum = nullptr;
  }
  // An error that comes while the sum runs on the GPU, or ends it.
  if (state.stream_asked && faulty(Call::async_error, Fault::Kind::later_error)) *result = remote_error;
  return nccl_success;
}
int all_reduce(void* values, std::size_t count, NcclReduction reduction, void*, void*) {
  const int result = start(Call::all_reduce);
  ++state.counts.all_reduce;
  if (result != nccl_in_progress) return result;
  if (reduction == NcclReduction::sum_of_int64)
    start_sum(static_cast<std::int64_t*>(values), count, [](std::int64_t a, std::int64_t b) { return a + b; });
  else
    start_sum(static_cast<double*>(values), count, [](double a, double b) { return a > b ? a : b; });
  return result;
}
int finalize(void*) {
  ++state.counts.finalize;
  return start(Call::finalize);
}
int destroy(void*) {
  ++state.counts.destroy;
  if (faulty(Call::destroy, Fault::Kind::error)) return remote_error;
  state.gone = true;
  return nccl_success;
}
int abort(void*) {
  ++state.counts.abort;
  state.gone = true;
  return nccl_success;
}
StreamState stream_state(void*, std::string& words) {
  state.stream_asked = true;
  if (faulty(Call::stream, Fault::Kind::error)) {
    words = "an illegal memory access";
    return StreamState::failed;
  }
  if (faulty(Call::stream, Fault::Kind::never_done) || (state.sum && !state.sum())) return StreamState::working;
  state.sum = nullptr;
  return StreamState::done;
}

}  // namespace

void reset(Communicator& ranks, Fault fault, SumsCome come) {
  state = State{};
  state.come = come;
  state.rank = ranks.rank();
  state.ranks = ranks.size();
  state.board = std::make_unique<Board>(ranks);
  state.fault = fault;
}
void release() { state = State{}; }
const Counts& counts() { return state.counts; }

const NcclTable& table() {
  static const NcclTable made{problem,     version,    error_text, last_error, unique_id, init,
                              async_error, all_reduce, finalize,   destroy,    abort,     stream_state};
  return made;
}

}  // namespace perfpipe::false_nccl
