// Training on the GPU as the CPU side sees it: networks that step together, each through its own samples. No CUDA in
// here: tests put a table in its place whose kernels run on the host.
#pragma once

#include "model/gpu/training_view.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace perfpipe::gpu {

/// Samples in the host's memory, as SampleSetView has them on the device.
struct SampleSetSource {
  const float* curves = nullptr;
  std::size_t curve_count = 0;
  const int* neighbours = nullptr;
  const int* patient = nullptr;
  const float* targets = nullptr;
  const float* aifs = nullptr;
  const float* factors = nullptr;
  int samples = 0, patients = 0;
};

/// A network to be trained, as it starts; the numbers as NetworkView has them.
struct NetworkSource {
  bool pooled = false, adam = false;
  int batch = 0;
  float tissue_gain = 1.0f;
  double target_mean = 0.0, target_scale = 1.0, saturation = -1.0;
  float keep = 0.0f, take = 0.0f, keep_square = 0.0f, take_square = 0.0f;
  const float* weights = nullptr;                      ///< [size], in the order of TrainingLayout
  const float *velocity = nullptr, *square = nullptr;  ///< [size]; null: zeros
  SampleSetSource training, validation;
};

/// An epoch, or what is left of it. Vectors that are empty leave out what they stand for.
struct EpochSource {
  std::vector<int> order;
  std::vector<unsigned char> symmetries;
  std::vector<float> gains;
  std::vector<signed char> shifts;
  std::vector<float> rates;
  Progress start{};
};

/// Where a network's numbers are to go; null: nobody wants them.
struct NetworkTarget {
  float *weights = nullptr, *gradient = nullptr, *velocity = nullptr, *square = nullptr;  ///< [size]
};

/// Ranks that share the mini-batches of all networks of a session: each computes some of their shards.
struct BatchShare {
  int rank = 0, ranks = 1;
  bool shared = false;  ///< steps are made by begin_step() and end_step(), not run()

  int first_shard() const { return batch_shards * rank / ranks; }
  int end_shard() const { return batch_shards * (rank + 1) / ranks; }
};

/// Where the ranks' shards meet, in the memory of each: the bits of its own shards, zeros for the others'. So the sum
/// over the ranks, of whole numbers, is what all of them computed, to the bit.
struct SharedSums {
  std::int64_t* values = nullptr;
  std::size_t count = 0;
  void* stream = nullptr;  ///< the session's, for what comes between begin_step() and end_step()
};

class TrainingSession;

/// GPU side of model/training_cuda.hpp (core/cuda_library.hpp). Functions return what went wrong, naming the operation;
/// nothing if all went well. A session is used by one thread at a time.
struct TrainingCudaTable {
  static constexpr const char* entry = "perfpipe_training_cuda";
  std::string (*create)(int device, const std::vector<NetworkSource>& networks, const BatchShare& share,
                        TrainingSession*& session);
  /// Hands a network its draws. It waits at the end of the epoch.
  std::string (*begin_epoch)(TrainingSession& session, int network, const EpochSource& epoch);
  /// Up to `steps` steps of all networks; waits for the last. Not where ranks share the mini-batches.
  std::string (*run)(TrainingSession& session, int steps);
  /// There a step is begin_step(), the sum of shared_sums() over the ranks, and end_step(). None of them waits.
  std::string (*begin_step)(TrainingSession& session);
  SharedSums (*shared_sums)(TrainingSession& session);
  std::string (*end_step)(TrainingSession& session);
  /// Squared errors of some networks over their validation samples, into their Progress.
  std::string (*validate)(TrainingSession& session, const std::vector<int>& networks);
  /// `progress` [networks].
  std::string (*read_progress)(TrainingSession& session, Progress* progress);
  std::string (*read)(TrainingSession& session, int network, const NetworkTarget& to);
  void (*destroy)(TrainingSession* session);
  /// For benches: `steps` steps with the time of each kernel by the GPU's clock, by its name; null on the host.
  std::string (*measure)(TrainingSession& session, int steps,
                         std::vector<std::pair<std::string, double>>& seconds) = nullptr;
};

}  // namespace perfpipe::gpu
