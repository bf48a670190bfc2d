// The body of the kernels, included once by each of model/dense_{avx512,avx2,portable}.cpp, which say how many lanes a
// vector has and how many rows of the left operand a tile takes. As model/kernel_tile.hpp says, nothing in here may be
// shared between translation units.
#pragma once

#include "model/dense_kernel.hpp"
#include "model/kernel_tile.hpp"

namespace perfpipe {
namespace {

/// The product [12, depth] x [depth, 32] in tiles of tile_rows, whose sums fill the registers.
template <int Stride, class Start, class Finish>
inline __attribute__((always_inline)) void product(const float* a, const float* b, int depth, const Start& start,
                                                   const Finish& finish) {
  static_assert(dense_block % tile_rows == 0);
  for (int row = 0; row < dense_block; row += tile_rows) tile<tile_rows, Stride>(a, b, depth, row, start, finish);
}

void convolved_features(const DenseWeights& w, const float* curves, float* l3) {
  alignas(64) float l2[dense_block * chunk * maps];
  for (int i = 0; i < dense_block * maps; ++i) l3[i] = w.conv2_bias[i % maps];
  for (int first = 0; first < positions; first += chunk) {
    for (int t = 0; t < chunk; ++t)
      product<samples_of_curve>(
          curves + first + t, w.conv1, taps, [&](int, int column) { return load(w.conv1_bias + column); },
          [&](int row, int column, Vector sum) { store(l2 + (row * chunk + t) * maps + column, relu(sum)); });
    product<chunk * maps>(
        l2, w.conv2 + first * maps * maps, chunk * maps,
        [&](int row, int column) { return load(l3 + row * maps + column); },
        [&](int row, int column, Vector sum) { store(l3 + row * maps + column, sum); });
  }
  for (int i = 0; i < dense_block * maps; i += vector_lanes) store(l3 + i, relu(load(l3 + i)));
}

/// Bias and ReLU are monotone: they come after the maximum, on 35 times fewer values, with the same result.
void pooled_features(const DenseWeights& w, const float* curves, float* l3) {
  const auto convolve = [&](int t, const auto& finish) {
    product<samples_of_curve>(
        curves + t, w.conv1, taps, [](int, int) { return Vector{}; }, finish);
  };
  convolve(0, [&](int row, int column, Vector sum) { store(l3 + row * maps + column, sum); });
  for (int t = 1; t < positions; ++t)
    convolve(t, [&](int row, int column, Vector sum) {
      float* const at = l3 + row * maps + column;
      const Vector before = load(at);
      store(at, before > sum ? before : sum);
    });
  for (int i = 0; i < dense_block * maps; i += vector_lanes)
    store(l3 + i, relu(load(l3 + i) + load(w.conv1_bias + i % maps)));
}

[[maybe_unused]] void features(const DenseWeights& w, const float* curves, float* l3) {
  if (w.conv2)
    convolved_features(w, curves, l3);
  else
    pooled_features(w, curves, l3);
}

void windows(const DenseWeights& w, const float* upper, const float* lower, float* l4) {
  // A window is two neighbours of each line, 64 values without a gap; the next window starts 32 further on.
  product<maps>(
      upper, w.conv3, 2 * maps, [&](int, int column) { return load(w.conv3_bias + column); },
      [&](int row, int column, Vector sum) { store(l4 + row * maps + column, sum); });
  product<maps>(
      lower, w.conv3 + 2 * maps * maps, 2 * maps, [&](int row, int column) { return load(l4 + row * maps + column); },
      [&](int row, int column, Vector sum) { store(l4 + row * maps + column, relu(sum)); });
}

void fully_connected(const float* weights, const float* bias, const float* input, float* output) {
  for (int panel = 0; panel < hidden / maps; ++panel)
    product<hidden>(
        input, weights + panel * hidden * maps, hidden,
        [&](int, int column) { return load(bias + panel * maps + column); },
        [&](int row, int column, Vector sum) { store(output + row * hidden + panel * maps + column, relu(sum)); });
}

/// L8 from L7 [12, 128].
void last_layer(const DenseWeights& w, const float* l7, float* estimates) {
  for (int row = 0; row < dense_block; ++row) {
    // 32 partial sums, then halves onto halves: the same order for every width of vectors.
    alignas(64) float partial[maps];
    for (int column = 0; column < maps; column += vector_lanes) {
      Vector sum{};
      for (int i = column; i < hidden; i += maps) sum = load(l7 + row * hidden + i) * load(w.fc8 + i) + sum;
      store(partial + column, sum);
    }
    for (int half = maps / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) partial[i] += partial[i + half];
    estimates[row] = partial[0] + w.fc8_bias;
  }
}

[[maybe_unused]] void head(const DenseWeights& w, const float* l5, float* estimates) {
  alignas(64) float l6[dense_block * hidden], l7[dense_block * hidden];
  fully_connected(w.fc6, w.fc6_bias, l5, l6);
  fully_connected(w.fc7, w.fc7_bias, l6, l7);
  last_layer(w, l7, estimates);
}

}  // namespace
}  // namespace perfpipe
