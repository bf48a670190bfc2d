// The GPU side of dense inference (dense_table.hpp): memory, streams, and the order of work.
//
// Each slot has a stream of its own: its curves go to the device, all networks compute, the estimates come back. While
// one slot computes, the copies of another run beside it.
#include "model/gpu/cuda_marks.cuh"
#include "model/gpu/dense_kernels.cuh"
#include "model/gpu/dense_table.hpp"

#include <memory>
#include <mutex>
#include <utility>

namespace perfpipe::gpu {
namespace {

/// One slot's memory on both sides.
struct SlotMemory {
  cudaStream_t stream = nullptr;
  PageLocked<float> curves, estimates;
  PageLocked<int> row_of, voxel_of;
  PageLocked<DenseFindings> findings;
  Memory<float> device_curves, device_estimates, l3, l4;
  Memory<int> device_row_of, device_voxel_of;
  Memory<DenseFindings> device_findings;
};

/// What outlives a session: page-locked memory takes longer to get than a patient to compute.
struct Room {
  int device = -1;
  DeviceFacts facts;
  SlotMemory slots[dense_slots];
  Memory<float> weights;

  ~Room() {
    for (auto& slot : slots)
      if (slot.stream != nullptr) static_cast<void>(cudaStreamDestroy(slot.stream));
  }
};

/// Rooms that nobody uses.
class SpareRooms {
 public:
  std::unique_ptr<Room> take(int device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& room : rooms_)
      if (room && room->device == device) return std::exchange(room, nullptr);
    return nullptr;
  }
  void keep(std::unique_ptr<Room> room) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& place : rooms_)
      if (!place) {
        place = std::move(room);
        return;
      }
    // More than that at once is for nobody: freed.
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Room> rooms_[2];
};

SpareRooms& spare_rooms() {
  // Never destroyed: at the end of the process CUDA may be gone first.
  static SpareRooms* const rooms = new SpareRooms();
  return *rooms;
}

}  // namespace

class DenseSession {
 public:
  std::unique_ptr<Room> room;
  Arithmetic arithmetic = Arithmetic::exact;
  DenseLimits limits;
  struct Network {
    DenseLayers layers;
    bool pooled;
  };
  std::vector<Network> networks;
};

namespace {

void reserve(Calls& calls, Room& room, const DenseLimits& limits, std::size_t networks) {
  const auto rows = static_cast<std::size_t>(limits.rows), voxels = static_cast<std::size_t>(limits.voxels);
  for (auto& slot : room.slots) {
    if (calls.good() && slot.stream == nullptr)
      calls(cudaStreamCreateWithFlags(&slot.stream, cudaStreamNonBlocking), "cudaStreamCreate");
    slot.curves.need(calls, rows * curve_floats, "curves");
    slot.row_of.need(calls, voxels, "rows of voxels");
    slot.voxel_of.need(calls, rows, "voxels of rows");
    slot.estimates.need(calls, networks * rows, "estimates");
    slot.findings.need(calls, networks, "findings");
    slot.device_curves.need(calls, rows * curve_floats, "curves");
    slot.device_row_of.need(calls, voxels, "rows of voxels");
    slot.device_voxel_of.need(calls, rows, "voxels of rows");
    slot.device_estimates.need(calls, networks * rows, "estimates");
    slot.device_findings.need(calls, networks, "findings");
    slot.l3.need(calls, rows * feature_floats, "L3");
    slot.l4.need(calls, static_cast<std::size_t>(limits.windows) * feature_floats, "L4");
  }
}

void copy_networks(Calls& calls, DenseSession& session, const std::vector<DenseNetworkOnGpu>& networks) {
  std::size_t floats = 0;
  for (const auto& network : networks) floats += (network.layers.floats.size() + 31) / 32 * 32;
  auto& memory = session.room->weights;
  memory.need(calls, floats, "weights");
  float* at = memory.data();
  for (const auto& network : networks) {
    if (!calls.good()) return;
    const auto& from = network.layers.floats;
    calls(cudaMemcpy(at, from.data(), from.size() * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy of weights");
    const auto part = [&](LayerPart which) { return at + network.layers.offsets[which]; };
    session.networks.push_back(
        {{part(conv1_part), part(conv1_bias_part), part(conv2_part), part(conv2_bias_part), part(conv3_part),
          part(conv3_bias_part), part(fc6_part), part(fc6_bias_part), part(fc7_part), part(fc7_bias_part),
          part(fc8_part), part(fc8_bias_part), network.factor},
         network.layers.pooled});
    at += (from.size() + 31) / 32 * 32;
  }
}

std::string create(int device, Arithmetic arithmetic, const std::vector<DenseNetworkOnGpu>& networks,
                   const DenseLimits& limits, DenseSession*& session) {
  Calls calls;
  calls(cudaSetDevice(device), "cudaSetDevice");
  if (!calls.good()) return calls.problem();
  auto fresh = std::make_unique<DenseSession>();
  fresh->room = spare_rooms().take(device);
  if (!fresh->room) {
    fresh->room = std::make_unique<Room>();
    fresh->room->device = device;
    fresh->room->facts = facts_of(calls, device);
    allow_shared_memory(calls, fresh->room->facts);
  }
  fresh->arithmetic = arithmetic;
  fresh->limits = limits;
  reserve(calls, *fresh->room, limits, networks.size());
  copy_networks(calls, *fresh, networks);
  if (calls.good()) session = fresh.release();
  return calls.problem();
}

DenseSlot slot(DenseSession& session, int which) {
  const auto& s = session.room->slots[which];
  return {s.curves.data(), s.row_of.data(), s.voxel_of.data(), s.estimates.data()};
}

/// The steps of a piece, each of which `between(step)` follows: 0 the copies to the GPU; for each network 1, 2 and 3
/// the layers and 4 the copy back; 4 also the findings'.
template <class Between>
void enqueue(Calls& calls, DenseSession& session, int which, const DensePiece& piece, const Between& between) {
  auto& s = session.room->slots[which];
  calls(cudaSetDevice(session.room->device), "cudaSetDevice");
  const auto rows = static_cast<std::size_t>(piece.rows),
             voxels = static_cast<std::size_t>(piece.slices) * static_cast<std::size_t>(piece.ny) *
                      static_cast<std::size_t>(piece.nx),
             networks = session.networks.size();
  const auto upload = [&](void* to, const void* from, std::size_t bytes, const char* what) {
    if (calls.good()) calls(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, s.stream), what);
  };
  const auto download = [&](void* to, const void* from, std::size_t bytes, const char* what) {
    if (calls.good()) calls(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, s.stream), what);
  };
  for (std::size_t n = 0; n < networks; ++n) s.findings.data()[n] = {none_bad, none_bad};
  upload(s.device_findings.data(), s.findings.data(), networks * sizeof(DenseFindings), "copy of findings to the GPU");
  upload(s.device_curves.data(), s.curves.data(), rows * curve_floats * sizeof(float), "copy of curves to the GPU");
  upload(s.device_row_of.data(), s.row_of.data(), voxels * sizeof(int), "copy of rows to the GPU");
  upload(s.device_voxel_of.data(), s.voxel_of.data(), rows * sizeof(int), "copy of voxels to the GPU");
  between(0);
  for (std::size_t n = 0; n < networks; ++n) {
    const auto& network = session.networks[n];
    auto* const findings = s.device_findings.data() + n;
    const std::size_t at = n * static_cast<std::size_t>(session.limits.rows);
    const DenseSlab slab{s.device_curves.data(),
                         s.device_row_of.data(),
                         s.device_voxel_of.data(),
                         piece.rows,
                         piece.slices,
                         piece.ny,
                         piece.nx,
                         s.l3.data(),
                         s.l4.data(),
                         s.device_estimates.data() + at,
                         &findings->bad_curve,
                         &findings->bad_estimate};
    const DenseLaunch how{s.stream, session.room->facts, session.arithmetic, network.pooled};
    launch_features(calls, how, network.layers, slab);
    between(1);
    launch_windows(calls, how, network.layers, slab);
    between(2);
    launch_head(calls, how, network.layers, slab);
    between(3);
    download(s.estimates.data() + at, s.device_estimates.data() + at, rows * sizeof(float),
             "copy of estimates from the GPU");
    between(4);
  }
  download(s.findings.data(), s.device_findings.data(), networks * sizeof(DenseFindings),
           "copy of findings from the GPU");
  between(4);
}

std::string submit(DenseSession& session, int which, const DensePiece& piece) {
  Calls calls;
  enqueue(calls, session, which, piece, [](int) {});
  return calls.problem();
}

std::string measure(DenseSession& session, int which, const DensePiece& piece, int rounds, DenseTimes& times) {
  Calls calls;
  double* const parts[] = {&times.upload, &times.features, &times.windows, &times.head, &times.download};
  Marks marks(calls, session.room->slots[which].stream);
  for (int round = 0; round < rounds && calls.good(); ++round) {
    marks.start();
    enqueue(calls, session, which, piece, [&](int part) { marks.mark(part); });
    double sums[5] = {};
    marks.add_up(sums);
    for (int part = 0; part < 5; ++part)
      if (round == 0 || sums[part] < *parts[part]) *parts[part] = sums[part];
  }
  return calls.problem();
}

std::string wait(DenseSession& session, int which, DenseFindings* findings) {
  Calls calls;
  auto& s = session.room->slots[which];
  calls(cudaStreamSynchronize(s.stream), "waiting for the kernels of a piece");
  for (std::size_t n = 0; n < session.networks.size(); ++n) findings[n] = s.findings.data()[n];
  return calls.problem();
}

void destroy(DenseSession* session) {
  const std::unique_ptr<DenseSession> owned(session);
  bool idle = true;
  for (auto& s : owned->room->slots) idle = cudaStreamSynchronize(s.stream) == cudaSuccess && idle;
  if (idle) spare_rooms().keep(std::move(owned->room));
}

}  // namespace
}  // namespace perfpipe::gpu

extern "C" const perfpipe::gpu::DenseCudaTable* perfpipe_dense_cuda() {
  using namespace perfpipe::gpu;
  static const DenseCudaTable table{create, slot, submit, wait, destroy, measure};
  return &table;
}
