// L1 to L3 of dense inference on tensor cores: what lies between stays in a warp's registers.
#pragma once

#include "model/gpu/dense_tensor.hpp"

namespace perfpipe::gpu {

/// The filters of L1 as B operands in registers: four steps of eight taps and one of four.
template <class Warp, int Parts>
struct Filters {
  Operand<Warp, Parts, 2> step[4][4];
  Operand<Warp, Parts, 1> tail[4];

  PERFPIPE_DEVICE void read(const Warp& warp, const float* fragments) {
    PERFPIPE_UNROLL
    for (int n = 0; n < 4; ++n) {
      PERFPIPE_UNROLL
      for (int s = 0; s < 4; ++s) read_fragment(warp, fragments, s * 4 + n, step[s][n]);
      warp.each_lane([&](int lane) { tail[n].set_stored(lane, 0, fragments[16 * 64 + n * warp_lanes + lane]); });
    }
  }
};

/// Position t of L2 of 32 curves before its ReLU: sums [2][4] of C [16, 8], from their first value on.
template <class Warp, int Parts>
PERFPIPE_DEVICE void convolve_position(const Warp& warp, const float* curves, int t,
                                       const Filters<Warp, Parts>& filters,
                                       typename Warp::template Registers<4> (&sums)[2][4]) {
  PERFPIPE_UNROLL
  for (int s = 0; s < 5; ++s) {
    PERFPIPE_UNROLL
    for (int m = 0; m < 2; ++m) {
      const auto sample = [&](int lane, int i) {
        return curves[(m * 16 + lane / 4 + 8 * (i % 2)) * curve_stride + t + 8 * s + lane % 4 + 4 * (i / 2)];
      };
      if (s < 4) {
        Operand<Warp, Parts, 4> a;
        warp.each_lane([&](int lane) {
          PERFPIPE_UNROLL
          for (int i = 0; i < 4; ++i) a.set_stored(lane, i, sample(lane, i));
        });
        PERFPIPE_UNROLL
        for (int n = 0; n < 4; ++n) multiply_add(sums[m][n], a, filters.step[s][n]);
      } else {
        Operand<Warp, Parts, 2> a;
        warp.each_lane([&](int lane) {
          PERFPIPE_UNROLL
          for (int i = 0; i < 2; ++i) a.set_stored(lane, i, sample(lane, i));
        });
        PERFPIPE_UNROLL
        for (int n = 0; n < 4; ++n) multiply_add(sums[m][n], a, filters.tail[n]);
      }
    }
  }
}

/// The scaled curves of a warp's rows as they are multiplied; four rows are on their way at once.
template <int Parts, class Warp, class Block>
PERFPIPE_DEVICE void load_rows(const Warp& warp, const Block&, const DenseLayers& w, const DenseSlab& slab, int tile,
                               float* curves) {
  constexpr int parts = (curve_floats + warp_lanes - 1) / warp_lanes, together = 4;
  warp.phase([&](int lane) {
    PERFPIPE_NO_UNROLL
    for (int first = 0; first < tensor_rows; first += together) {
      float x[together][parts];
      PERFPIPE_UNROLL
      for (int r = 0; r < together; ++r) {
        PERFPIPE_UNROLL
        for (int i = 0; i < parts; ++i)
          if (i * warp_lanes + lane < curve_floats)
            x[r][i] = scaled_sample<Block>(slab, w.factor, tile + first + r, i * warp_lanes + lane);
      }
      PERFPIPE_UNROLL
      for (int r = 0; r < together; ++r) {
        PERFPIPE_UNROLL
        for (int i = 0; i < parts; ++i)
          if (i * warp_lanes + lane < curve_floats)
            curves[(first + r) * curve_stride + i * warp_lanes + lane] = stored<Parts>(x[r][i]);
      }
    }
  });
}

/// L1 to L3. Conv2InShared: 143 KB of shared memory hold the second convolution's weights, else they are read where
/// they are, through the first-level cache.
template <int Parts, bool Pooled, bool Conv2InShared, class Block>
PERFPIPE_DEVICE void tensor_features(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  const int warps = block.threads() / warp_lanes;
  if constexpr (Conv2InShared)
    block.each_thread([&](int thread) {
      for (int i = 4 * thread; i < conv2_fragments; i += 4 * block.threads())
        *reinterpret_cast<Quad*>(block.shared() + i) = quad_at(w.conv2 + i);
    });
  block.each_warp([&](const auto& warp) {
    using Warp = std::decay_t<decltype(warp)>;
    using Sums = typename Warp::template Registers<4>;
    float* const curves =
        block.shared() + (Conv2InShared ? conv2_fragments : 0) + warp.index() * tensor_rows * curve_stride;
    const float* const conv2 = Conv2InShared ? block.shared() : w.conv2;
    Filters<Warp, Parts> filters;
    filters.read(warp, w.conv1);
    typename Warp::template Registers<8> bias;  // of L1, a lane's two of each tile
    warp.each_lane([&](int lane) {
      PERFPIPE_UNROLL
      for (int i = 0; i < 8; ++i) bias.of(lane)[i] = w.conv1_bias[i / 2 * 8 + lane % 4 * 2 + i % 2];
    });
    const int step = block.blocks() * warps * tensor_rows;
    for (int tile = (block.index() * warps + warp.index()) * tensor_rows; tile < slab.rows; tile += step) {
      load_rows<Parts>(warp, block, w, slab, tile, curves);
      Sums l3[2][4];
      PERFPIPE_UNROLL
      for (int m = 0; m < 2; ++m) {
        PERFPIPE_UNROLL
        for (int n = 0; n < 4; ++n) start_sums(warp, Pooled ? nullptr : w.conv2_bias, 8 * n, l3[m][n]);
      }
      PERFPIPE_NO_UNROLL
      for (int t = 0; t < l2_positions; ++t) {
        Sums l2[2][4];
        PERFPIPE_UNROLL
        for (int m = 0; m < 2; ++m) {
          PERFPIPE_UNROLL
          for (int n = 0; n < 4; ++n)
            warp.each_lane([&](int lane) {
              PERFPIPE_UNROLL
              for (int i = 0; i < 4; ++i) l2[m][n].of(lane)[i] = Pooled ? 0.0f : bias.of(lane)[2 * n + i % 2];
            });
        }
        convolve_position(warp, curves, t, filters, l2);
        PERFPIPE_UNROLL
        for (int j = 0; j < 4; ++j) {
          if constexpr (Pooled) {
            warp.each_lane([&](int lane) {
              PERFPIPE_UNROLL
              for (int i = 0; i < 8; ++i) {
                float& best = l3[i / 4][j].of(lane)[i % 4];
                const float next = l2[i / 4][j].of(lane)[i % 4];
                best = t > 0 && best > next ? best : next;
              }
            });
          } else {
            Operand<Warp, Parts, 4> a[2];
            PERFPIPE_UNROLL
            for (int m = 0; m < 2; ++m) chain(warp, l2[m][j], a[m]);
            PERFPIPE_UNROLL
            for (int n = 0; n < 4; ++n) {
              Operand<Warp, Parts, 2> b;
              read_fragment(warp, conv2, (t * 4 + j) * 4 + n, b);
              PERFPIPE_UNROLL
              for (int m = 0; m < 2; ++m) multiply_add(l3[m][n], a[m], b);
            }
          }
        }
      }
      PERFPIPE_UNROLL
      for (int m = 0; m < 2; ++m) {
        PERFPIPE_UNROLL
        for (int n = 0; n < 4; ++n) {
          if constexpr (Pooled)
            warp.each_lane([&](int lane) {
              PERFPIPE_UNROLL
              for (int i = 0; i < 4; ++i) l3[m][n].of(lane)[i] += bias.of(lane)[2 * n + i % 2];
            });
          store_relu(warp, l3[m][n], tile + m * 16, slab.rows, 8 * n, slab.l3);
        }
      }
      warp.phase([](int) {});  // all have read the curves
    }
  });
}

}  // namespace perfpipe::gpu
