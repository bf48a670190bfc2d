// The GPU side of deconvolution (linear_table.hpp): a stream for each slot, so that copies run beside kernels.
#include "model/gpu/cuda_marks.cuh"
#include "model/gpu/linear_table.hpp"

#include <memory>

namespace perfpipe::gpu {
namespace {

__global__ void __launch_bounds__(linear_threads) linear_kernel(LinearOperator op, LinearSlab slab) {
  extern __shared__ Quad shared[];
  linear_deconvolution(DeviceBlock(reinterpret_cast<float*>(shared)), op, slab);
}

struct SlotMemory {
  cudaStream_t stream = nullptr;
  PageLocked<float> curves, maps;
  PageLocked<unsigned char> negative;
  Memory<float> device_curves, device_maps;
  Memory<unsigned char> device_negative;
};

}  // namespace

class LinearSession {
 public:
  ~LinearSession() {
    for (auto& slot : slots)
      if (slot.stream != nullptr) {
        static_cast<void>(cudaStreamSynchronize(slot.stream));
        static_cast<void>(cudaStreamDestroy(slot.stream));
      }
  }
  int device = 0, most = 0, multiprocessors = 0;
  LinearOperator op;
  Memory<float> first, second;
  SlotMemory slots[linear_slots];
};

namespace {

std::size_t shared_bytes(const LinearOperator& op) {
  return static_cast<std::size_t>(linear_floats(op.samples, op.rank)) * sizeof(float);
}

std::string create(int device, const LinearOperator& op, int most, LinearSession*& session) {
  Calls calls;
  auto fresh = std::make_unique<LinearSession>();
  calls(cudaSetDevice(device), "cudaSetDevice");
  calls(cudaDeviceGetAttribute(&fresh->multiprocessors, cudaDevAttrMultiProcessorCount, device),
        "number of multiprocessors");
  calls(cudaFuncSetAttribute(reinterpret_cast<const void*>(linear_kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared_bytes(op))),
        "shared memory of the deconvolution");
  fresh->device = device;
  fresh->most = most;
  fresh->op = op;
  const auto matrix = [&](Memory<float>& memory, const float* from, int rows, int columns) -> const float* {
    const std::size_t count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
    memory.need(calls, count, "the operator");
    if (calls.good())
      calls(cudaMemcpy(memory.data(), from, count * sizeof(float), cudaMemcpyHostToDevice), "copy of the operator");
    return memory.data();
  };
  fresh->op.first = matrix(fresh->first, op.first, op.rows_of_first(), op.samples);
  if (op.rank > 0) fresh->op.second = matrix(fresh->second, op.second, op.length, op.rank);
  const auto voxels = static_cast<std::size_t>(most), samples = static_cast<std::size_t>(op.samples);
  for (auto& slot : fresh->slots) {
    if (calls.good()) calls(cudaStreamCreateWithFlags(&slot.stream, cudaStreamNonBlocking), "cudaStreamCreate");
    slot.curves.need(calls, voxels * samples, "curves");
    slot.maps.need(calls, 4 * voxels, "maps");
    slot.negative.need(calls, voxels, "negative delays");
    slot.device_curves.need(calls, voxels * samples, "curves");
    slot.device_maps.need(calls, 4 * voxels, "maps");
    slot.device_negative.need(calls, voxels, "negative delays");
  }
  if (calls.good()) session = fresh.release();
  return calls.problem();
}

LinearSlot slot(LinearSession& session, int which) {
  const auto& s = session.slots[which];
  return {s.curves.data(), s.maps.data(), s.negative.data()};
}

/// A piece's copies and kernel; mark() is called behind each of the three.
template <class Mark>
void enqueue(Calls& calls, LinearSession& session, int which, int voxels, const Mark& mark) {
  auto& s = session.slots[which];
  calls(cudaSetDevice(session.device), "cudaSetDevice");
  const auto copy = [&](void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, const char* what) {
    if (calls.good()) calls(cudaMemcpyAsync(to, from, bytes, kind, s.stream), what);
  };
  const auto count = static_cast<std::size_t>(voxels), most = static_cast<std::size_t>(session.most);
  copy(s.device_curves.data(), s.curves.data(), count * static_cast<std::size_t>(session.op.samples) * sizeof(float),
       cudaMemcpyHostToDevice, "copy of curves to the GPU");
  mark();
  if (calls.good()) {
    LinearSlab slab{s.device_curves.data(), voxels, s.device_maps.data(), session.most, s.device_negative.data()};
    void* arguments[] = {&session.op, &slab};
    const int tiles = (voxels + linear_threads - 1) / linear_threads, many = 4 * session.multiprocessors;
    calls(cudaLaunchKernel(reinterpret_cast<const void*>(linear_kernel),
                           dim3(static_cast<unsigned>(tiles < many ? tiles : many)), dim3(linear_threads), arguments,
                           shared_bytes(session.op), s.stream),
          "the deconvolution");
  }
  mark();
  copy(s.maps.data(), s.device_maps.data(), 4 * most * sizeof(float), cudaMemcpyDeviceToHost,
       "copy of maps from the GPU");
  copy(s.negative.data(), s.device_negative.data(), count, cudaMemcpyDeviceToHost, "copy of delays from the GPU");
  mark();
}

std::string submit(LinearSession& session, int which, int voxels) {
  Calls calls;
  enqueue(calls, session, which, voxels, [] {});
  return calls.problem();
}

std::string measure(LinearSession& session, int which, int voxels, int rounds, LinearTimes& times) {
  Calls calls;
  double* const parts[] = {&times.upload, &times.kernel, &times.download};
  Marks marks(calls, session.slots[which].stream);
  for (int round = 0; round < rounds && calls.good(); ++round) {
    marks.start();
    int part = 0;
    enqueue(calls, session, which, voxels, [&] { marks.mark(part++); });
    double sums[3] = {};
    marks.add_up(sums);
    for (int i = 0; i < 3; ++i)
      if (round == 0 || sums[i] < *parts[i]) *parts[i] = sums[i];
  }
  return calls.problem();
}

std::string wait(LinearSession& session, int which) {
  Calls calls;
  calls(cudaStreamSynchronize(session.slots[which].stream), "waiting for the deconvolution of a piece");
  return calls.problem();
}

void destroy(LinearSession* session) { delete session; }

}  // namespace
}  // namespace perfpipe::gpu

extern "C" const perfpipe::gpu::LinearCudaTable* perfpipe_linear_cuda() {
  using namespace perfpipe::gpu;
  static const LinearCudaTable table{create, slot, submit, wait, destroy, measure};
  return &table;
}
