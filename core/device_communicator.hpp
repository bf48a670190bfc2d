// Sums over the ranks of a group that lie in GPU memory. Implementations: cluster/ (NCCL, MPI through the host).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace perfpipe {

/// A CUDA stream, without CUDA's headers.
using Stream = void*;

/// Every call is made by all ranks of the group, in the same order, from one thread. With one rank each is the
/// identity. Failures throw DeviceError with the rank, the operation and `what`, within a time limit; the object is
/// then of no more use, and the job is to end.
class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Element-wise sum over ranks of integers in this rank's GPU memory, in place: exact, whatever the order. Comes
  /// after the work that `stream` holds, and before what it is given later.
  virtual void allreduce_sum(std::int64_t* values, std::size_t count, Stream stream, const std::string& what) = 0;
  /// Element-wise maximum over ranks, likewise.
  virtual void allreduce_max(double* values, std::size_t count, Stream stream, const std::string& what) = 0;
  /// Returns when all work of `stream` is done. What waits for other ranks is to be waited for here: CUDA's own ways
  /// know no time limit.
  virtual void wait(Stream stream, const std::string& what) = 0;
};

}  // namespace perfpipe
