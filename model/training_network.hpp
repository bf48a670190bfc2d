// The bi-CNN as training computes it: estimates and gradients of mini-batches, with the AIF chain once for each
// patient.
#pragma once

#include "core/aligned.hpp"
#include "model/bicnn.hpp"
#include "model/training_kernel.hpp"
#include "model/training_layout.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// Samples whose activations are held at once: those of 16 patches (650 KB for L2) stay in a second-level cache. More
/// are taken in pieces of 16, one after the other.
inline constexpr std::size_t samples_at_once = 16;

/// A network in training. Its weights are one flat vector in an order of its own: what the shards of a mini-batch add
/// gradients to comes first (the tissue chain, its half of fc6, fc7 and fc8), then the AIF chain and its half of fc6,
/// whose gradients follow from the sum over shards of the gradient of each patient's part of fc6. fc8's bias is padded
/// with zeros. Computes on the calling thread.
///
/// One mini-batch: begin(), then for each shard estimate() and add_gradient() of up to samples_at_once samples in turn,
/// then, with the shards' sum, finish_gradient().
class TrainingNetwork {
 public:
  explicit TrainingNetwork(Architecture architecture, const TrainingKernel& kernel = *training_kernels().front());

  /// Number of weights with the padding, and of those whose gradients are added.
  std::size_t size() const { return layout_.size; }
  std::size_t shared() const { return layout_.artery.conv1; }
  /// Length of a shard's gradient: the shared weights', then d L6 / d (AIF part) [patients, 128].
  std::size_t shard_size(std::size_t patients) const { return shared() + patients * hidden_units; }
  /// Of the buffer in which the shards' sum becomes the gradient.
  std::size_t gradient_size(std::size_t patients) const { return std::max(size(), shard_size(patients)); }

  /// From the order of layer_table() and back.
  std::vector<float> arrange(std::span<const float> flat) const;
  std::vector<float> in_file_order(std::span<const float> weights) const;

  /// Takes `weights` [size()], which must stay as they are until the gradient is finished, and scaled AIFs
  /// [patients, 70]. `with_gradient`: add_gradient() will be called.
  void begin(std::span<const float> weights, std::span<const float> aifs, bool with_gradient);

  /// Where the scaled curves [n, 9, 70] of the next samples go.
  std::span<float> curves() { return {curves_.data(), samples_at_once * patch_positions * curve_samples}; }
  /// Estimates of n samples, whose patients are given as rows of `aifs`.
  std::span<const float> estimate(std::span<const std::int32_t> patients);
  /// Adds the gradient of these samples to `shard` [shard_size(patients)], 64-byte aligned, from that of their
  /// estimates; the `first` samples of a shard set it, whatever it held.
  void add_gradient(std::span<const float> d_estimates, bool first, std::span<float> shard);

  /// In place: takes the sum of the shards in the first shard_size(patients) elements and leaves the gradient in the
  /// first size().
  void finish_gradient(std::span<float> gradient);

 private:
  /// L1 to L3 of some curves.
  struct TimeLayers {
    AlignedFloats l2, l3, d_l3;
    std::vector<std::int32_t> winner_memory;
    std::int32_t* winner = nullptr;
    explicit TimeLayers(std::size_t rows, Architecture architecture);
  };

  std::vector<std::size_t> file_positions() const;
  void forward_time(const ChainLayout& chain, const float* curves, std::size_t rows, TimeLayers& layers) const;
  void backward_time(const ChainLayout& chain, const float* curves, std::size_t rows, TimeLayers& layers, bool fresh,
                     float* gradient);
  void transpose_chain(const ChainLayout& chain, std::size_t panels);
  void begin_artery(std::span<const float> aifs, bool with_gradient);

  Architecture architecture_;
  const TrainingKernel& kernel_;
  TrainingLayout layout_;
  const float* weights_ = nullptr;
  // Transposed weights.
  AlignedFloats conv2_transposed_, conv3_transposed_, fc6_transposed_, fc7_transposed_;
  // Tissue.
  std::size_t samples_ = 0;
  std::vector<std::int32_t> patients_of_samples_;
  AlignedFloats curves_;
  TimeLayers tissue_;
  AlignedFloats l4_, l6_, l7_, start_, estimates_, d_l4_, d_l6_, d_l7_;
  // Arteries: all positions of their patch are alike, so the four windows' weights are summed first.
  std::size_t patients_ = 0;
  AlignedFloats aif_curves_;
  TimeLayers artery_;
  AlignedFloats conv3_sum_, conv3_sum_transposed_, fc6_sum_, fc6_sum_transposed_;
  AlignedFloats aif_l4_, aif_d_l4_, aif_part_, d_part_;
};

}  // namespace perfpipe
