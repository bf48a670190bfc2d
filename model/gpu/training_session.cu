// The GPU side of training (training_table.hpp): memory, and a step's kernels as one graph of launches.
//
// All kernels of a step wait for those before them; which samples they take stands in the networks' Progress on the
// device, so that the same graph is every step's, and the host looks on only where an epoch ends. Where ranks share the
// mini-batches the step is two graphs, and what sums over the ranks comes between them on the same stream.
#include "model/gpu/cuda_marks.cuh"
#include "model/gpu/training_backward.hpp"
#include "model/gpu/training_forward.hpp"
#include "model/gpu/training_gradients.hpp"
#include "model/gpu/training_head.hpp"
#include "model/gpu/training_memory.hpp"
#include "model/gpu/training_update.hpp"

#include <memory>

namespace perfpipe::gpu {
namespace {

PERFPIPE_DEVICE DeviceBlock this_block() {
  extern __shared__ Quad shared[];
  return DeviceBlock(reinterpret_cast<float*>(shared));
}

constexpr int feature_warps = 4, gather_threads = 256, artery_threads = 512, add_threads = 256, add_blocks = 128;

__global__ void __launch_bounds__(gather_threads) gather_kernel(Step step) { gather_curves(this_block(), step); }
__global__ void __launch_bounds__(feature_warps* warp_lanes, 2) features_kernel(Step step) {
  training_features(this_block(), step);
}
__global__ void __launch_bounds__(head_threads, 2) head_kernel(Step step) { training_head(this_block(), step); }
__global__ void __launch_bounds__(artery_threads) artery_kernel(Step step) { artery_backward(this_block(), step); }
__global__ void __launch_bounds__(gradient_threads, 2) time_gradients_kernel(Step step) {
  time_gradients(this_block(), step);
}
__global__ void __launch_bounds__(outer_threads, 2) head_gradients_kernel(Step step) {
  head_gradients(this_block(), step);
}
__global__ void __launch_bounds__(add_threads) add_shards_kernel(Step step) { add_shards(this_block(), step); }
__global__ void __launch_bounds__(update_threads) update_kernel(Step step) { update_weights(this_block(), step); }
__global__ void __launch_bounds__(warp_lanes) finish_kernel(Step step) { finish_step(this_block(), step); }

using Kernel = void (*)(Step);

/// Of a step: before or after the ranks' shards meet, or all of it where nothing is shared.
enum class Part : int { before, after, whole };

struct Launch {
  Kernel kernel;
  const char* name;
  int blocks, threads, shared_floats;
  bool in_validation;
  Part part;
};

/// A step's kernels in their order, for mini-batches of up to `rows` samples that ranks may share.
std::vector<Launch> launches(int rows, bool shared) {
  const auto blocks_for = [](int count, int of_block) { return (count + of_block - 1) / of_block; };
  const int curves = rows * patch_curves;
  std::vector<Launch> all{{gather_kernel, "curves of a step", blocks_for(curves, 4 * gather_threads / warp_lanes),
                           gather_threads, 0, true, Part::before},
                          {features_kernel, "L1 to L3 of a step", 1 + blocks_for(curves, feature_warps * exact_rows),
                           feature_warps * warp_lanes, exact_features_floats(feature_warps), true, Part::before},
                          {head_kernel, "L4 to L8 of a step", blocks_for(rows, head_samples), head_threads,
                           head_floats(), true, Part::before},
                          {head_gradients_kernel, "gradients of L4 to L8", outer_blocks, outer_threads, outer_floats(),
                           false, Part::before}};
  const Launch time_gradients{time_gradients_kernel,
                              "gradients of L1 to L3",
                              gradient_blocks,
                              gradient_threads,
                              gradient_floats(),
                              false,
                              Part::after};
  if (shared) {
    all.push_back(time_gradients);
    all.back().part = Part::before;
    all.push_back({add_shards_kernel, "sum of the shards", add_blocks, add_threads, 0, false, Part::after});
  }
  all.push_back({artery_kernel, "the way back through the AIF chain", 1, artery_threads, 0, false, Part::after});
  all.push_back(time_gradients);
  all.push_back({update_kernel, "the optimiser's step", update_blocks(static_cast<int>(TrainingLayout(false).size)),
                 update_threads, update_floats(), false, Part::after});
  all.push_back({finish_kernel, "the end of a step", 1, warp_lanes, finish_floats(), true, Part::after});
  return all;
}

}  // namespace

class CudaTrainingDevice {
 public:
  explicit CudaTrainingDevice(int device) : device_(device) {
    calls_(cudaSetDevice(device), "cudaSetDevice");
    calls_(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    for (const auto& launch : launches(1, true))
      calls_(cudaFuncSetAttribute(launch.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  launch.shared_floats * static_cast<int>(sizeof(float))),
             launch.name);
  }
  ~CudaTrainingDevice() {
    static_cast<void>(cudaSetDevice(device_));
    if (stream_ != nullptr) static_cast<void>(cudaStreamSynchronize(stream_));
    for (auto* const graph : graphs_)
      if (graph != nullptr) static_cast<void>(cudaGraphExecDestroy(graph));
    for (void* const one : memory_) static_cast<void>(cudaFree(one));
    if (stream_ != nullptr) static_cast<void>(cudaStreamDestroy(stream_));
  }
  CudaTrainingDevice(const CudaTrainingDevice&) = delete;
  CudaTrainingDevice& operator=(const CudaTrainingDevice&) = delete;

  Calls& calls() { return calls_; }
  void use() { calls_(cudaSetDevice(device_), "cudaSetDevice"); }

  template <class T>
  T* allocate(std::size_t count) {
    if (!calls_.good()) return nullptr;
    const std::size_t bytes = (count * sizeof(T) + 255) / 256 * 256;
    // From pieces of some size: thousands of small arrays would take the driver a second.
    if (bytes > left_) {
      const std::size_t piece = bytes > piece_bytes ? bytes : piece_bytes;
      void* fresh = nullptr;
      const std::string operation = "cudaMalloc of " + std::to_string(piece >> 20) + " MiB for training";
      calls_(cudaMalloc(&fresh, piece), operation.c_str());
      if (!calls_.good()) return nullptr;
      memory_.push_back(fresh);
      calls_(cudaMemsetAsync(fresh, 0, piece, stream_), "cudaMemset");
      if (bytes >= piece_bytes) return static_cast<T*>(fresh);
      next_ = static_cast<char*>(fresh);
      left_ = piece;
    }
    auto* const here = reinterpret_cast<T*>(next_);
    next_ += bytes;
    left_ -= bytes;
    return here;
  }
  template <class T>
  void upload(T* to, const T* from, std::size_t count) {
    if (count == 0 || !calls_.good()) return;
    calls_(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyHostToDevice, stream_), "copy to the GPU");
    calls_(cudaStreamSynchronize(stream_), "waiting for a copy to the GPU");
  }
  template <class T>
  void download(T* to, const T* from, std::size_t count) {
    if (count == 0 || !calls_.good()) return;
    calls_(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToHost, stream_), "copy from the GPU");
    calls_(cudaStreamSynchronize(stream_), "waiting for a copy from the GPU");
  }

  void measure(const Step& step, int networks, int rows, int times,
               std::vector<std::pair<std::string, double>>& seconds) {
    const auto names = launches(rows, false);
    std::vector<double> sums(names.size());
    Marks marks(calls_, stream_);
    for (int i = 0; i < times && calls_.good(); ++i) {
      marks.start();
      int part = 0;
      launch(step, networks, rows, Part::whole, [&] { marks.mark(part++); });
      marks.add_up(sums.data());
    }
    for (std::size_t i = 0; i < names.size(); ++i) seconds.emplace_back(names[i].name, sums[i]);
  }

  void run(const Step& step, int networks, int rows, int times) {
    for (int i = 0; i < times && calls_.good(); ++i) {
      if (step.validating)
        launch(step, networks, rows, Part::whole, [] {});
      else
        launch_recorded(step, networks, rows, Part::whole);
    }
    if (calls_.good()) calls_(cudaStreamSynchronize(stream_), "waiting for a step's kernels");
  }
  void begin(const Step& step, int networks, int rows) { launch_recorded(step, networks, rows, Part::before); }
  void end(const Step& step, int networks, int rows) { launch_recorded(step, networks, rows, Part::after); }
  cudaStream_t stream() const { return stream_; }

 private:
  static constexpr std::size_t piece_bytes = std::size_t{64} << 20;

  template <class Between>
  void launch(Step step, int networks, int rows, Part part, const Between& between) {
    // Shards of the tissue chain meet; the AIF chain's gradients come after, on every rank.
    step.artery = part != Part::before;
    step.tissue = part != Part::after;
    for (const auto& one : launches(rows, part != Part::whole)) {
      if (!calls_.good() || (step.validating && !one.in_validation)) continue;
      if (part != Part::whole && part != one.part) continue;
      void* arguments[] = {&step};
      calls_(cudaLaunchKernel(reinterpret_cast<const void*>(one.kernel),
                              dim3(static_cast<unsigned>(one.blocks), static_cast<unsigned>(networks)),
                              dim3(static_cast<unsigned>(one.threads)), arguments,
                              static_cast<std::size_t>(one.shared_floats) * sizeof(float), stream_),
             one.name);
      between();
    }
  }

  void launch_recorded(const Step& step, int networks, int rows, Part part) {
    auto& graph = graphs_[static_cast<int>(part)];
    if (graph == nullptr) record(step, networks, rows, part, graph);
    if (calls_.good()) calls_(cudaGraphLaunch(graph, stream_), "cudaGraphLaunch");
  }

  /// The same launches as a graph: 3 us of a processor's time for a step instead of some 20.
  void record(const Step& step, int networks, int rows, Part part, cudaGraphExec_t& graph) {
    if (!calls_.good()) return;
    cudaGraph_t recorded = nullptr;
    calls_(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    launch(step, networks, rows, part, [] {});
    // Ends the recording whatever went wrong in it.
    const auto status = cudaStreamEndCapture(stream_, &recorded);
    calls_(status, "cudaStreamEndCapture");
    if (calls_.good()) calls_(cudaGraphInstantiate(&graph, recorded, 0), "cudaGraphInstantiate");
    if (recorded != nullptr) static_cast<void>(cudaGraphDestroy(recorded));
  }

  int device_;
  Calls calls_;
  cudaStream_t stream_ = nullptr;
  cudaGraphExec_t graphs_[3] = {};  ///< by Part
  std::vector<void*> memory_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
};

class TrainingSession {
 public:
  TrainingSession(int which, const std::vector<NetworkSource>& networks, const BatchShare& share)
      : device(which), memory(device, networks, share) {}
  CudaTrainingDevice device;
  TrainingMemory<CudaTrainingDevice> memory;
};

namespace {

std::string create(int device, const std::vector<NetworkSource>& networks, const BatchShare& share,
                   TrainingSession*& session) {
  auto fresh = std::make_unique<TrainingSession>(device, networks, share);
  const std::string problem = fresh->device.calls().problem();
  if (problem.empty()) session = fresh.release();
  return problem;
}

template <class Work>
std::string with(TrainingSession& session, const Work& work) {
  session.device.use();
  work(session.memory);
  return session.device.calls().problem();
}

std::string begin_epoch(TrainingSession& session, int network, const EpochSource& epoch) {
  return with(session, [&](auto& memory) { memory.begin_epoch(network, epoch); });
}
std::string run(TrainingSession& session, int steps) {
  return with(session, [&](auto& memory) { memory.run(steps); });
}
std::string begin_step(TrainingSession& session) {
  return with(session, [](auto& memory) { memory.begin_step(); });
}
SharedSums shared_sums(TrainingSession& session) {
  return {session.memory.shared(), session.memory.shared_count(), session.device.stream()};
}
std::string end_step(TrainingSession& session) {
  return with(session, [](auto& memory) { memory.end_step(); });
}
std::string validate(TrainingSession& session, const std::vector<int>& networks) {
  return with(session, [&](auto& memory) { memory.validate(networks); });
}
std::string read_progress(TrainingSession& session, Progress* progress) {
  return with(session, [&](auto& memory) { memory.read_progress(progress); });
}
std::string read(TrainingSession& session, int network, const NetworkTarget& to) {
  return with(session, [&](auto& memory) { memory.read(network, to); });
}
void destroy(TrainingSession* session) { delete session; }
std::string measure(TrainingSession& session, int steps, std::vector<std::pair<std::string, double>>& seconds) {
  return with(session, [&](auto& memory) { memory.measure(steps, seconds); });
}

}  // namespace
}  // namespace perfpipe::gpu

extern "C" const perfpipe::gpu::TrainingCudaTable* perfpipe_training_cuda() {
  using namespace perfpipe::gpu;
  static const TrainingCudaTable table{create,   begin_epoch,   run,  begin_step, shared_sums, end_step,
                                       validate, read_progress, read, destroy,    measure};
  return &table;
}
