// Training of many networks together on a GPU.
#pragma once

#include "core/device_communicator.hpp"
#include "model/gpu/training_table.hpp"
#include "model/training.hpp"

#include <exception>
#include <optional>
#include <vector>

namespace perfpipe {

/// One network to train, as for train(). Recipe and sets must outlive the training.
struct TrainingJob {
  const Recipe* recipe = nullptr;
  const PatchSet* training = nullptr;
  const PatchSet* validation = nullptr;
  TrainingHooks hooks = {};  ///< of which `stop` ends all, and `group` is that of all jobs
  std::optional<TrainingState> resume = std::nullopt;
};

/// With what a rank trains.
struct TrainingPlace {
  int device = 0;  ///< CUDA's index of its GPU
  /// Those of the ranks of the jobs' group, at most gradient_shards, which train the same jobs: each computes its
  /// shards of every mini-batch, and all make the same step with what they have together. nullptr: this rank computes
  /// alone.
  DeviceCommunicator* gpus = nullptr;
  int threads = 1;  ///< that look through the samples before the first step
};

/// What became of a job: a result, or why there is none.
struct TrainingOutcome {
  TrainingResult result;
  std::exception_ptr failure = nullptr;  ///< TaskFailure or InputError; the others went on
};

/// Trains networks as train() does, all stepping together: a step of one network alone leaves most of a GPU idle. The
/// same draws, learning rates, plateau rule and choice of the epoch; sums in another order than on the CPU, so results
/// are equal to its within rounding, which training amplifies: within the spread between seeds. The same bits from run
/// to run, in any company, and on however many ranks; a state of one can be resumed on the other. Computes in single
/// precision. Throws DeviceError for what CUDA or the other ranks find wrong, std::invalid_argument for sets that do
/// not fit.
std::vector<TrainingOutcome> train_together(std::vector<TrainingJob> jobs, const TrainingPlace& place);
/// With another table than the library's, and another number of steps between two looks at stop(): for tests.
std::vector<TrainingOutcome> train_together(std::vector<TrainingJob> jobs, const TrainingPlace& place,
                                            const gpu::TrainingCudaTable& table, int steps_at_once);

}  // namespace perfpipe
