// A network that trains on a GPU beside others: what the GPU is told of it, and what is made of where it is.
#pragma once

#include "model/training_batches.hpp"
#include "model/training_books.hpp"
#include "model/training_cuda.hpp"

#include <cstddef>
#include <span>

namespace perfpipe {

/// A network with its books.
class TrainingMember {
 public:
  /// Throws InputError for an AIF that cannot be scaled.
  explicit TrainingMember(TrainingJob job);

  const Recipe& recipe() const { return *job_.recipe; }
  const TrainingHooks& hooks() const { return job_.hooks; }
  TrainingBooks& books() { return books_; }
  bool has_validation() const { return job_.validation->samples() > 0; }

  /// As it starts; points into this object.
  gpu::NetworkSource source();
  /// The draws of the epoch under way, the same as on the CPU.
  gpu::EpochSource epoch();
  /// Takes over where the GPU is. False at the end of the epoch. Throws TaskFailure where the training diverged.
  bool follow(const gpu::Progress& progress);

 private:
  void vary(gpu::EpochSource& epoch, std::span<const std::size_t> samples, std::size_t step, std::size_t patients);

  TrainingJob job_;
  Batches training_, validation_;
  TrainingBooks books_;
};

}  // namespace perfpipe
