// NCCL as we call it: a table of functions without its types, so that tests can put a false NCCL in its place.
#pragma once

#include <cstddef>
#include <string>

namespace perfpipe {

/// Results, as NCCL numbers them; all others are errors.
inline constexpr int nccl_success = 0;
inline constexpr int nccl_in_progress = 7;
inline constexpr std::size_t nccl_id_bytes = 128;

enum class NcclReduction : int { sum_of_int64, max_of_double };
enum class StreamState : int { done, working, failed };

/// GPU side of this header (core/cuda_library.hpp). Functions that return int return NCCL's result; none waits.
struct NcclTable {
  static constexpr const char* entry = "perfpipe_nccl";
  /// Why NCCL cannot be used (its library is not there); empty if it can. All others are to be called only then.
  const std::string& (*problem)();
  int (*version)(int* number);
  const char* (*error_text)(int result);
  /// More words on the last error of this communicator, or "".
  const char* (*last_error)(void* comm);
  int (*unique_id)(char* id);  ///< writes nccl_id_bytes
  /// Chooses the GPU on this thread and starts a non-blocking communicator: goes on after its return.
  int (*init)(void** comm, int ranks, const char* id, int rank, int gpu);
  int (*async_error)(void* comm, int* result);
  int (*all_reduce)(void* values, std::size_t count, NcclReduction reduction, void* comm, void* stream);
  int (*finalize)(void* comm);
  int (*destroy)(void* comm);
  int (*abort)(void* comm);
  /// Whether all work of a CUDA stream is done; `problem` gets CUDA's words if it failed.
  StreamState (*stream_state)(void* stream, std::string& problem);
};

/// "2.28.9", or why there is none.
std::string nccl_version();

}  // namespace perfpipe
