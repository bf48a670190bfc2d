// A false NCCL for tests without GPUs: "device" memory is the host's, sums are made over memory that the ranks share,
// and each call can be told to fail, to take a while, or never to be done.
#pragma once

#include "cluster/nccl_communicator.hpp"

#include <string>

namespace perfpipe::false_nccl {

enum class Call { none, unique_id, init, async_error, all_reduce, stream, finalize, destroy };

/// What goes wrong on this rank, and how.
struct Fault {
  Call call = Call::none;
  enum class Kind { error, later_error, never_done } kind = Kind::error;  ///< later: seen when asked for the state
  int sums_before = 0;                                                    ///< that go well
};

/// When a sum's numbers are there: behind wait() at the latest, as on a GPU; or already when the call is done, for
/// callers whose "GPU" computes at once and not in the order of a stream.
enum class SumsCome { with_wait, with_call };

/// What the communicator asked for on this rank.
struct Counts {
  int init = 0, all_reduce = 0, finalize = 0, destroy = 0, abort = 0;
  int calls_while_busy = 0;   ///< calls before the one before was done: forbidden
  int calls_after_abort = 0;  ///< or after destroy
};

/// Forgets all.
void release();

/// Starts anew: the next communicator is made over these ranks.
void reset(Communicator& ranks, Fault fault = {}, SumsCome come = SumsCome::with_wait);
const Counts& counts();
const NcclTable& table();

}  // namespace perfpipe::false_nccl
