#include "tests/cluster/false_nccl.hpp"

#include <cstring>
#include <functional>
#include <vector>

namespace perfpipe::false_nccl {
namespace {

constexpr int remote_error = 6;
constexpr int polls_until_done = 3;  // "in progress" is seen, and waited for

/// All that this rank's false NCCL knows. One communicator at a time.
struct State {
  std::unique_ptr<Communicator> ranks;
  Fault fault;
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

bool faulty(Call call, Fault::Kind kind) { return state.fault.call == call && state.fault.kind == kind; }

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
  const std::string mine(reinterpret_cast<const char*>(values), count * sizeof(T));
  for (int other = 0; other < state.ranks->size(); ++other)
    if (other != state.ranks->rank()) state.ranks->send(other, mine, "false NCCL");
  // From each rank in turn: what a faster one sends for the next sum stays for later.
  state.sum = [values, count, reduce, next = 0]() mutable {
    for (; next < state.ranks->size(); ++next) {
      if (next == state.ranks->rank()) continue;
      const auto part = state.ranks->try_receive(next, "false NCCL");
      if (!part) return false;
      std::vector<T> theirs(count);
      std::memcpy(theirs.data(), part->bytes.data(), part->bytes.size());
      for (std::size_t i = 0; i < count; ++i) values[i] = reduce(values[i], theirs[i]);
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
  // An error that comes while the sum runs on the GPU, or ends it.
  if (state.stream_asked && faulty(Call::async_error, Fault::Kind::later_error)) *result = remote_error;
  return nccl_success;
}
int all_reduce(void* values, std::size_t count, NcclReduction reduction, void*, void*) {
  ++state.counts.all_reduce;
  const int result = start(Call::all_reduce);
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

void reset(Communicator& ranks, Fault fault) {
  state = State{};
  state.ranks = ranks.split(0, "false NCCL");
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
