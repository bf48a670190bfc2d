// NCCL itself behind the table of nccl.hpp. Its library is opened when it is first asked for: one GPU works without it.
#include "cluster/nccl.hpp"

#include <cstring>
#include <dlfcn.h>
#include <nccl.h>

namespace perfpipe {
namespace {

static_assert(nccl_success == ncclSuccess && nccl_in_progress == ncclInProgress, "numbers of results");
static_assert(nccl_id_bytes == NCCL_UNIQUE_ID_BYTES, "size of the id");

/// NCCL's functions, with the types of its header.
struct Functions {
  decltype(&ncclGetVersion) get_version = nullptr;
  decltype(&ncclGetErrorString) get_error_string = nullptr;
  decltype(&ncclGetLastError) get_last_error = nullptr;
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRankConfig) comm_init_rank_config = nullptr;
  decltype(&ncclCommGetAsyncError) comm_get_async_error = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclCommFinalize) comm_finalize = nullptr;
  decltype(&ncclCommDestroy) comm_destroy = nullptr;
  decltype(&ncclCommAbort) comm_abort = nullptr;
  std::string problem;
};

Functions open_library() {
  Functions functions;
  // Where this library was linked to find it (cmake/PerfpipeCuda.cmake), or LD_LIBRARY_PATH, or the system's folders.
  void* const library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    functions.problem = std::string("NCCL cannot be opened: ") + dlerror();
    return functions;
  }
  const auto find = [&](auto& function, const char* name) {
    void* const address = dlsym(library, name);
    if (address == nullptr) functions.problem = std::string("this NCCL has no ") + name + "; 2.18 or later is needed";
    std::memcpy(&function, &address, sizeof function);
  };
  find(functions.get_version, "ncclGetVersion");
  find(functions.get_error_string, "ncclGetErrorString");
  find(functions.get_last_error, "ncclGetLastError");
  find(functions.get_unique_id, "ncclGetUniqueId");
  find(functions.comm_init_rank_config, "ncclCommInitRankConfig");
  find(functions.comm_get_async_error, "ncclCommGetAsyncError");
  find(functions.all_reduce, "ncclAllReduce");
  find(functions.comm_finalize, "ncclCommFinalize");
  find(functions.comm_destroy, "ncclCommDestroy");
  find(functions.comm_abort, "ncclCommAbort");
  return functions;
}

const Functions& nccl() {
  static const Functions functions = open_library();
  return functions;
}

ncclComm_t comm_of(void* comm) { return static_cast<ncclComm_t>(comm); }

const std::string& problem() { return nccl().problem; }
int version(int* number) { return nccl().get_version(number); }
const char* error_text(int result) { return nccl().get_error_string(static_cast<ncclResult_t>(result)); }
const char* last_error(void* comm) { return nccl().get_last_error(comm_of(comm)); }

int unique_id(char* id) {
  ncclUniqueId unique;
  const auto result = nccl().get_unique_id(&unique);
  std::memcpy(id, unique.internal, sizeof unique.internal);
  return result;
}

int init(void** comm, int ranks, const char* id, int rank, int gpu) {
  if (cudaSetDevice(gpu) != cudaSuccess) return ncclUnhandledCudaError;
  ncclUniqueId unique;
  std::memcpy(unique.internal, id, sizeof unique.internal);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t made = nullptr;
  const auto result = nccl().comm_init_rank_config(&made, ranks, unique, rank, &config);
  *comm = made;
  return result;
}

int async_error(void* comm, int* result) {
  ncclResult_t state = ncclSuccess;
  const auto asked = nccl().comm_get_async_error(comm_of(comm), &state);
  *result = state;
  return asked;
}

int all_reduce(void* values, std::size_t count, NcclReduction reduction, void* comm, void* stream) {
  const bool sum = reduction == NcclReduction::sum_of_int64;
  return nccl().all_reduce(values, values, count, sum ? ncclInt64 : ncclFloat64, sum ? ncclSum : ncclMax, comm_of(comm),
                           static_cast<cudaStream_t>(stream));
}

int finalize(void* comm) { return nccl().comm_finalize(comm_of(comm)); }
int destroy(void* comm) { return nccl().comm_destroy(comm_of(comm)); }
int abort(void* comm) { return nccl().comm_abort(comm_of(comm)); }

StreamState stream_state(void* stream, std::string& words) {
  const auto status = cudaStreamQuery(static_cast<cudaStream_t>(stream));
  if (status == cudaSuccess) return StreamState::done;
  if (status == cudaErrorNotReady) return StreamState::working;
  words = cudaGetErrorString(status);
  return StreamState::failed;
}

}  // namespace
}  // namespace perfpipe

extern "C" const perfpipe::NcclTable* perfpipe_nccl() {
  namespace p = perfpipe;
  static const p::NcclTable table{p::problem,   p::version, p::error_text,  p::last_error,
                                  p::unique_id, p::init,    p::async_error, p::all_reduce,
                                  p::finalize,  p::destroy, p::abort,       p::stream_state};
  return &table;
}
