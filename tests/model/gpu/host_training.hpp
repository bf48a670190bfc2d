// The table of training whose kernels run on the host: what libperfpipe_cuda.so does, without a GPU.
#pragma once

#include "model/gpu/training_backward.hpp"
#include "model/gpu/training_forward.hpp"
#include "model/gpu/training_gradients.hpp"
#include "model/gpu/training_head.hpp"
#include "model/gpu/training_memory.hpp"
#include "model/gpu/training_update.hpp"

#include <cstring>
#include <deque>

namespace perfpipe::gpu {

class HostTrainingDevice {
 public:
  template <class T>
  T* allocate(std::size_t count) {
    return reinterpret_cast<T*>(memory_.emplace_back((count * sizeof(T) + 15) / 16 * 16 / sizeof(double) + 2).data());
  }
  template <class T>
  void upload(T* to, const T* from, std::size_t count) {
    if (count > 0) std::memcpy(to, from, count * sizeof(T));
  }
  template <class T>
  void download(T* to, const T* from, std::size_t count) {
    std::memcpy(to, from, count * sizeof(T));
  }
  void run(const Step& step, int networks, int, int times) {
    for (int i = 0; i < times; ++i) {
      before(step, networks);
      after(step, networks);
    }
  }
  void begin(Step step, int networks, int) {
    step.artery = false;
    before(step, networks);
    launch(networks, gradient_blocks, gradient_threads, gradient_floats(),
           [&](const HostBlock& block) { time_gradients(block, step); });
  }
  void end(Step step, int networks, int) {
    step.tissue = false;
    launch(networks, 3, 64, 0, [&](const HostBlock& block) { add_shards(block, step); });
    after(step, networks);
  }

 private:
  static constexpr int warps = 2;  // few, and few blocks, so that each has several tiles

  template <class Body>
  static void launch(int networks, int blocks, int threads, int floats, const Body& body) {
    run_on_host(blocks, networks, threads, static_cast<std::size_t>(floats) * sizeof(float), body);
  }
  static void before(const Step& step, int networks) {
    launch(networks, 3, warps * warp_lanes, 0, [&](const HostBlock& block) { gather_curves(block, step); });
    launch(networks, 3, warps * warp_lanes, exact_features_floats(warps),
           [&](const HostBlock& block) { training_features(block, step); });
    launch(networks, 2, head_threads, head_floats(), [&](const HostBlock& block) { training_head(block, step); });
    if (!step.validating)
      launch(networks, outer_blocks, outer_threads, outer_floats(),
             [&](const HostBlock& block) { head_gradients(block, step); });
  }
  static void after(const Step& step, int networks) {
    if (!step.validating) {
      launch(networks, 1, 64, 0, [&](const HostBlock& block) { artery_backward(block, step); });
      launch(networks, gradient_blocks, gradient_threads, gradient_floats(),
             [&](const HostBlock& block) { time_gradients(block, step); });
      launch(networks, update_blocks(131920), update_threads, update_floats(),
             [&](const HostBlock& block) { update_weights(block, step); });
    }
    launch(networks, 1, warp_lanes, finish_floats(), [&](const HostBlock& block) { finish_step(block, step); });
  }

  std::deque<std::vector<double>> memory_;
};

class TrainingSession {
 public:
  TrainingSession(const std::vector<NetworkSource>& networks, const BatchShare& share)
      : memory(device, networks, share) {}
  HostTrainingDevice device;
  TrainingMemory<HostTrainingDevice> memory;
};

inline const TrainingCudaTable& host_training_table() {
  static const TrainingCudaTable table{
      [](int, const std::vector<NetworkSource>& networks, const BatchShare& share, TrainingSession*& session) {
        session = new TrainingSession(networks, share);
        return std::string();
      },
      [](TrainingSession& session, int network, const EpochSource& epoch) {
        session.memory.begin_epoch(network, epoch);
        return std::string();
      },
      [](TrainingSession& session, int steps) {
        session.memory.run(steps);
        return std::string();
      },
      [](TrainingSession& session) {
        session.memory.begin_step();
        return std::string();
      },
      [](TrainingSession& session) {
        return SharedSums{session.memory.shared(), session.memory.shared_count(), nullptr};
      },
      [](TrainingSession& session) {
        session.memory.end_step();
        return std::string();
      },
      [](TrainingSession& session, const std::vector<int>& networks) {
        session.memory.validate(networks);
        return std::string();
      },
      [](TrainingSession& session, Progress* progress) {
        session.memory.read_progress(progress);
        return std::string();
      },
      [](TrainingSession& session, int network, const NetworkTarget& to) {
        session.memory.read(network, to);
        return std::string();
      },
      [](TrainingSession* session) { delete session; }};
  return table;
}

}  // namespace perfpipe::gpu
