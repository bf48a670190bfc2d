// Deconvolution by one matrix for all voxels (bSVD and its like), and the parameters of each residue function.
//
// A voxel is a thread's own: its sums are chains of fused multiply-adds in the order of their index, as those of
// stages/column_product.cpp on a processor with fused multiply-add, and what follows is stages/deconvolution.cpp's
// residue_parameters() number by number: the same bits.
#pragma once

#include "model/gpu/block.hpp"

namespace perfpipe::gpu {

/// k = first · c, or second · (first · c) where that costs less.
struct LinearOperator {
  int samples = 0;                            ///< N, of a curve
  int length = 0;                             ///< L, of a residue function
  int rank = 0;                               ///< rows of `first` where there is a `second`; else 0
  const float* first = nullptr;               ///< [rank or L, N]
  const float* second = nullptr;              ///< [L, rank], or null
  double dt = 1.0, flow = 1.0, volume = 1.0;  ///< s; what max k and its integral are multiplied by
  bool subsample_tmax = false;

  PERFPIPE_ANYWHERE int rows_of_first() const { return rank > 0 ? rank : length; }
};

struct LinearSlab {
  const float* curves;  ///< [voxels, N]
  int voxels;
  float* maps;  ///< CBF, CBV, MTT, Tmax: [4, stride]
  int stride;
  unsigned char* negative;  ///< [voxels] the delay is
};

inline constexpr int linear_threads = 128;
/// Columns of curves and coefficients lie apart by one more: neighbours write to different banks.
inline constexpr int linear_stride = linear_threads + 1;
PERFPIPE_ANYWHERE int linear_floats(int samples, int rank) { return (samples + rank) * linear_stride; }

/// What is kept of a residue function while it passes: its maximum with both neighbours, and its sum.
struct PassingResidue {
  float first = 0.0f, last = 0.0f, sum = 0.0f, largest = 0.0f, before = 0.0f, after = 0.0f;
  int place = 0;

  PERFPIPE_DEVICE void take(int t, float k) {
    if (t == 0) {
      first = sum = largest = k;
    } else {
      sum += k;
      if (k > largest) {
        largest = k;
        place = t;
        before = last;
      } else if (place == t - 1) {
        after = k;
      }
    }
    last = k;
  }
  /// The ends of a residue function meet.
  PERFPIPE_DEVICE void close(int length) {
    if (place == 0) before = last;
    if (place == length - 1) after = first;
  }
};

/// residue_parameters() of one voxel.
PERFPIPE_DEVICE void keep_parameters(const LinearOperator& op, const LinearSlab& slab, int voxel,
                                     const PassingResidue& residue) {
  float* const maps[4] = {slab.maps + voxel, slab.maps + slab.stride + voxel, slab.maps + 2 * slab.stride + voxel,
                          slab.maps + 3 * slab.stride + voxel};
  for (float* const map : maps) *map = 0.0f;
  slab.negative[voxel] = 0;
  const double k = residue.largest, area = residue.sum, duration = static_cast<double>(op.samples) * op.dt;
  constexpr double most = 3.4028234663852886e38;
  if (!(k > 0.0) || !(area >= -1.7976931348623157e308 && area <= 1.7976931348623157e308)) return;
  double mtt = op.dt * area / k;
  mtt = mtt < -duration ? -duration : mtt > duration ? duration : mtt;
  const double cbf = op.flow * k, cbv = op.volume * area;
  if (cbf > most || cbv > most || cbv < -most) return;
  *maps[0] = static_cast<float>(cbf);
  *maps[1] = static_cast<float>(cbv);
  *maps[2] = static_cast<float>(mtt);
  slab.negative[voxel] = residue.place >= op.samples ? 1 : 0;
  if (slab.negative[voxel] != 0) return;
  double peak = static_cast<double>(residue.place);
  if (op.subsample_tmax) {
    const double before = residue.before, after = residue.after, curvature = before - 2.0 * k + after;
    if (curvature < 0.0) {
      peak += (before - after) / (2.0 * curvature);
      peak = peak > 0.0 ? peak : 0.0;
    }
  }
  *maps[3] = static_cast<float>(op.dt * peak);
}

/// For linear_threads threads and linear_floats() of shared memory.
template <class Block>
PERFPIPE_DEVICE void linear_deconvolution(const Block& block, const LinearOperator& op, const LinearSlab& slab) {
  float* const curves = block.shared();
  float* const coefficients = curves + op.samples * linear_stride;
  for (int tile = block.index() * linear_threads; tile < slab.voxels; tile += block.blocks() * linear_threads) {
    block.each_thread([&](int thread) {
      for (int i = thread; i < op.samples * linear_threads; i += linear_threads) {
        const int voxel = i / op.samples, sample = i % op.samples;
        curves[sample * linear_stride + voxel] =
            tile + voxel < slab.voxels ? slab.curves[static_cast<long long>(tile) * op.samples + i] : 0.0f;
      }
    });
    // Four rows at a time: their chains do not wait for each other.
    const auto multiply = [&](const float* matrix, int row, int inner, const float* column, float(&sums)[4], int rows) {
      for (float& sum : sums) sum = 0.0f;
      for (int i = 0; i < inner; ++i) {
        const float x = column[i * linear_stride];
        PERFPIPE_UNROLL
        for (int r = 0; r < 4; ++r)
          if (row + r < rows) sums[r] = fused(matrix[(row + r) * inner + i], x, sums[r]);
      }
    };
    if (op.rank > 0)
      block.each_thread([&](int thread) {
        for (int row = 0; row < op.rank; row += 4) {
          float sums[4];
          multiply(op.first, row, op.samples, curves + thread, sums, op.rank);
          PERFPIPE_UNROLL
          for (int r = 0; r < 4; ++r)
            if (row + r < op.rank) coefficients[(row + r) * linear_stride + thread] = sums[r];
        }
      });
    block.each_thread([&](int thread) {
      PassingResidue residue;
      for (int t = 0; t < op.length; t += 4) {
        float sums[4];
        if (op.rank > 0)
          multiply(op.second, t, op.rank, coefficients + thread, sums, op.length);
        else
          multiply(op.first, t, op.samples, curves + thread, sums, op.length);
        PERFPIPE_UNROLL
        for (int r = 0; r < 4; ++r)
          if (t + r < op.length) residue.take(t + r, sums[r]);
      }
      residue.close(op.length);
      if (tile + thread < slab.voxels) keep_parameters(op, slab, tile + thread, residue);
    });
  }
}

}  // namespace perfpipe::gpu
