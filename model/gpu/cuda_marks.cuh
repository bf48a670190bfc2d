// Times of what runs on a stream, by the GPU's own clock.
#pragma once

#include "model/gpu/cuda_call.cuh"

#include <utility>
#include <vector>

namespace perfpipe::gpu {

/// Marks between pieces of work: each piece's time goes to the part that its end was marked with.
class Marks {
 public:
  Marks(Calls& calls, cudaStream_t stream) : calls_(calls), stream_(stream) {}
  ~Marks() {
    for (const auto& mark : marks_) static_cast<void>(cudaEventDestroy(mark.second));
  }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  void start() {
    used_ = 0;
    mark(-1);
  }
  void mark(int part) {
    if (!calls_.good()) return;
    if (used_ == marks_.size()) {
      cudaEvent_t fresh = nullptr;
      calls_(cudaEventCreate(&fresh), "cudaEventCreate");
      if (!calls_.good()) return;
      marks_.emplace_back(part, fresh);
    }
    marks_[used_].first = part;
    calls_(cudaEventRecord(marks_[used_++].second, stream_), "cudaEventRecord");
  }
  /// Waits for all, and adds the seconds of each part to `sums`.
  void add_up(double* sums) {
    calls_(cudaStreamSynchronize(stream_), "waiting for what is measured");
    for (std::size_t i = 1; i < used_ && calls_.good(); ++i) {
      float milliseconds = 0.0f;
      calls_(cudaEventElapsedTime(&milliseconds, marks_[i - 1].second, marks_[i].second), "cudaEventElapsedTime");
      sums[marks_[i].first] += 1e-3 * static_cast<double>(milliseconds);
    }
  }

 private:
  Calls& calls_;
  cudaStream_t stream_;
  std::vector<std::pair<int, cudaEvent_t>> marks_;
  std::size_t used_ = 0;
};

}  // namespace perfpipe::gpu
