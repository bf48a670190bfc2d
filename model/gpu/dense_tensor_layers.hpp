// L4, and L6 to L8, of dense inference on tensor cores.
#pragma once

#include "model/gpu/dense_tensor.hpp"

namespace perfpipe::gpu {

/// sums [2][Tiles] += [32, 128] · [128, 8 Tiles], the left operand being rows of four places of 32 maps each:
/// row_at(i, place) is a lane's row i of four (g, g + 8, g + 16, g + 24) as a pointer to 32 floats.
template <int Parts, int Tiles, class Warp, class RowAt>
PERFPIPE_DEVICE void multiply_places(const Warp& warp, const float* fragments, const RowAt& row_at,
                                     typename Warp::template Registers<4> (&sums)[2][Tiles]) {
  PERFPIPE_NO_UNROLL
  for (int place = 0; place < 4; ++place) {
    typename Warp::template Registers<32> x;
    warp.each_lane([&](int lane) {
      PERFPIPE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const float* const at = row_at(lane, i, place) + lane % 4 * 8;
        const Quad low = quad_at(at), high = quad_at(at + 4);
        float* const to = x.of(lane) + 8 * i;
        to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
        to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
      }
    });
    PERFPIPE_UNROLL
    for (int s = 0; s < 4; ++s) {
      Operand<Warp, Parts, 4> a[2];
      warp.each_lane([&](int lane) {
        PERFPIPE_UNROLL
        for (int m = 0; m < 2; ++m) {
          PERFPIPE_UNROLL
          for (int i = 0; i < 4; ++i)  // rows g and g + 8 in turns, then the second of their two numbers
            a[m].set(lane, i, x.of(lane)[8 * (2 * m + i % 2) + 2 * s + i / 2]);
        }
      });
      PERFPIPE_UNROLL
      for (int n = 0; n < Tiles; ++n) {
        Operand<Warp, Parts, 2> b;
        read_fragment(warp, fragments, (place * 4 + s) * Tiles + n, b);
        PERFPIPE_UNROLL
        for (int m = 0; m < 2; ++m) multiply_add(sums[m][n], a[m], b);
      }
    }
  }
}

template <class Warp, int Tiles>
PERFPIPE_DEVICE void start_sums(const Warp& warp, const float* bias,
                                typename Warp::template Registers<4> (&sums)[2][Tiles]) {
  PERFPIPE_UNROLL
  for (int m = 0; m < 2; ++m) {
    PERFPIPE_UNROLL
    for (int n = 0; n < Tiles; ++n) start_sums(warp, bias, 8 * n, sums[m][n]);
  }
}

/// L4 of all windows that touch a voxel inside.
template <int Parts, class Block>
PERFPIPE_DEVICE void tensor_windows(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  const int warps = block.threads() / warp_lanes, windows = slab.windows();
  block.each_thread([&](int thread) {
    for (int i = 4 * thread; i < conv3_fragments; i += 4 * block.threads())
      *reinterpret_cast<Quad*>(block.shared() + i) = quad_at(w.conv3 + i);
  });
  block.each_warp([&](const auto& warp) {
    using Warp = std::decay_t<decltype(warp)>;
    const int step = block.blocks() * warps * tensor_rows;
    for (int tile = (block.index() * warps + warp.index()) * tensor_rows; tile < windows; tile += step) {
      typename Warp::template Registers<16, int> rows;  // of L3, a lane's four windows by four places
      warp.each_lane([&](int lane) {
        PERFPIPE_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int window = tile + 8 * i + lane / 4;
          const Place at = place_of(window < windows ? window : windows - 1, slab.ny + 1, slab.nx + 1);
          PERFPIPE_UNROLL
          for (int place = 0; place < 4; ++place) rows.of(lane)[4 * i + place] = corner_row(slab, at, place);
        }
      });
      if (!warp.any([&](int lane) {
            int row = 0;
            PERFPIPE_UNROLL
            for (int i = 0; i < 16; ++i) row |= rows.of(lane)[i];
            return row != 0;
          }))
        continue;
      typename Warp::template Registers<4> sums[2][4];
      start_sums(warp, w.conv3_bias, sums);
      multiply_places<Parts>(
          warp, block.shared(),
          [&](int lane, int i, int place) {
            const auto& row = rows.of(lane);  // chosen by comparison: registers have no addresses
            const int at = place == 0   ? row[4 * i]
                           : place == 1 ? row[4 * i + 1]
                           : place == 2 ? row[4 * i + 2]
                                        : row[4 * i + 3];
            return slab.l3 + static_cast<long long>(at) * feature_floats;
          },
          sums);
      PERFPIPE_UNROLL
      for (int m = 0; m < 2; ++m) {
        PERFPIPE_UNROLL
        for (int n = 0; n < 4; ++n) store_relu(warp, sums[m][n], tile + m * 16, windows, 8 * n, slab.l4);
      }
    }
  });
}

/// L6 to L8 of the voxels inside.
template <int Parts, class Block>
PERFPIPE_DEVICE void tensor_head(const Block& block, const DenseLayers& w, const DenseSlab& slab) {
  constexpr int tiles = chain_floats / 8;
  const int warps = block.threads() / warp_lanes;
  float* const fc6 = block.shared();
  float* const fc7 = fc6 + fc_fragments;
  block.each_thread([&](int thread) {
    for (int i = 4 * thread; i < fc_fragments; i += 4 * block.threads()) {
      *reinterpret_cast<Quad*>(fc6 + i) = quad_at(w.fc6 + i);
      *reinterpret_cast<Quad*>(fc7 + i) = quad_at(w.fc7 + i);
    }
  });
  block.each_warp([&](const auto& warp) {
    using Warp = std::decay_t<decltype(warp)>;
    using Sums = typename Warp::template Registers<4>;
    const int step = block.blocks() * warps * tensor_rows;
    for (int tile = 1 + (block.index() * warps + warp.index()) * tensor_rows; tile < slab.rows; tile += step) {
      typename Warp::template Registers<4, int> window;
      warp.each_lane([&](int lane) {
        PERFPIPE_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int row = tile + 8 * i + lane / 4;
          window.of(lane)[i] = window_of(slab, voxel_place(slab, row < slab.rows ? row : slab.rows - 1), 0);
        }
      });
      Sums l6[2][tiles];
      start_sums(warp, w.fc6_bias, l6);
      multiply_places<Parts>(
          warp, fc6,
          [&](int lane, int i, int place) {
            const int at = window.of(lane)[i] + place / 2 * (slab.nx + 1) + place % 2;
            return slab.l4 + static_cast<long long>(at) * feature_floats;
          },
          l6);
      typename Warp::template Registers<4> estimates;
      warp.each_lane([&](int lane) {
        PERFPIPE_UNROLL
        for (int i = 0; i < 4; ++i) estimates.of(lane)[i] = 0.0f;
      });
      PERFPIPE_NO_UNROLL
      for (int first = 0; first < tiles; first += tiles / 2) {
        Sums l7[2][tiles / 2];
        start_sums(warp, w.fc7_bias + 8 * first, l7);
        PERFPIPE_UNROLL
        for (int j = 0; j < tiles; ++j) {
          Operand<Warp, Parts, 4> a[2];
          PERFPIPE_UNROLL
          for (int m = 0; m < 2; ++m) chain(warp, l6[m][j], a[m]);
          PERFPIPE_UNROLL
          for (int n = 0; n < tiles / 2; ++n) {
            Operand<Warp, Parts, 2> b;
            read_fragment(warp, fc7, j * tiles + first + n, b);
            PERFPIPE_UNROLL
            for (int m = 0; m < 2; ++m) multiply_add(l7[m][n], a[m], b);
          }
        }
        warp.each_lane([&](int lane) {
          PERFPIPE_UNROLL
          for (int n = 0; n < tiles / 2; ++n) {
            const Pair last = pair_at(w.fc8 + 8 * (first + n) + lane % 4 * 2);
            PERFPIPE_UNROLL
            for (int i = 0; i < 4; ++i) {
              const auto& c = l7[i / 2][n].of(lane);
              float& sum = estimates.of(lane)[i];
              sum = fused(relu(c[i % 2 * 2 + 1]), last.y, fused(relu(c[i % 2 * 2]), last.x, sum));
            }
          }
        });
      }
      warp.add_in_quads(estimates);
      warp.each_lane([&](int lane) {
        if (lane % 4 != 0) return;
        PERFPIPE_UNROLL
        for (int i = 0; i < 4; ++i)
          keep_estimate<Block>(slab, tile + 8 * i + lane / 4, estimates.of(lane)[i] + w.fc8_bias[0]);
      });
    }
  });
}

}  // namespace perfpipe::gpu
