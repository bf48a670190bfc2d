// The body of the training kernels, included once by each of model/training_{avx512,avx2,portable}.cpp, which say how
// many lanes a vector has and how many rows a tile takes. As model/kernel_tile.hpp says, nothing in here may be shared
// between translation units.
#pragma once

#include "model/kernel_tile.hpp"
#include "model/training_kernel.hpp"

namespace perfpipe {
namespace {

using IntVector = std::int32_t __attribute__((vector_size(vector_lanes * sizeof(float))));
using Unaligned = float __attribute__((vector_size(vector_lanes * sizeof(float)), aligned(4), may_alias));

#define PERFPIPE_INLINE inline __attribute__((always_inline))

PERFPIPE_INLINE Vector gate(const float* open, Vector x) { return load(open) > Vector{} ? x : Vector{}; }

constexpr int patch = 9, windows_of_patch = 4;
constexpr int l2_row = positions * maps, l3_row = patch * maps, quadrant = maps * maps;

/// All rows, rounded up to a multiple of 4: whole tiles, after tiles of 4 rows for what they leave.
template <int Stride, class Start, class Finish>
PERFPIPE_INLINE void product(const float* a, int rows, const float* b, int depth, const Start& start,
                             const Finish& finish) {
  const int filled = (rows + 3) / 4 * 4;
  int row = 0;
  for (; (filled - row) % tile_rows != 0; row += 4) tile<4, Stride>(a, b, depth, row, start, finish);
  for (; row < filled; row += tile_rows) tile<tile_rows, Stride>(a, b, depth, row, start, finish);
}

PERFPIPE_INLINE auto from_zero() {
  return [](int, int) { return Vector{}; };
}

/// Where the factors of a sum of outer products lie: n1 times n2 of them.
struct Pairs {
  int n1, x1, y1;  ///< count, and distance of one left factor and of one right factor to the next
  int n2 = 1, x2 = 0, y2 = 0;
};

/// gradient [Rows, 32] += sum of x[Rows] (outer) y[32]; with Bias also bias[32] += sum of y. `fresh`: what was there
/// before counts as zero.
template <int Rows, bool Bias>
PERFPIPE_INLINE void outer_tile(const float* x, const float* y, const Pairs& pairs, bool fresh, float* gradient,
                                float* bias) {
  constexpr int lanes = vector_lanes;
  for (int column = 0; column < maps; column += 2 * lanes) {
    Vector sum[Rows][2]{}, total[2]{};
    if (!fresh) {
#pragma GCC unroll 14
      for (int r = 0; r < Rows; ++r) {
        sum[r][0] = load(gradient + r * maps + column);
        sum[r][1] = load(gradient + r * maps + column + lanes);
      }
      if constexpr (Bias) {
        total[0] = load(bias + column);
        total[1] = load(bias + column + lanes);
      }
    }
    for (int i = 0; i < pairs.n1; ++i) {
      const float* left = x + i * pairs.x1;
      const float* right = y + i * pairs.y1 + column;
      for (int j = 0; j < pairs.n2; ++j, left += pairs.x2, right += pairs.y2) {
        const auto y0 = load(right), y1 = load(right + lanes);
#pragma GCC unroll 14
        for (int r = 0; r < Rows; ++r) {
          sum[r][0] = left[r] * y0 + sum[r][0];
          sum[r][1] = left[r] * y1 + sum[r][1];
        }
        if constexpr (Bias) {
          total[0] += y0;
          total[1] += y1;
        }
      }
    }
#pragma GCC unroll 14
    for (int r = 0; r < Rows; ++r) {
      store(gradient + r * maps + column, sum[r][0]);
      store(gradient + r * maps + column + lanes, sum[r][1]);
    }
    if constexpr (Bias) {
      store(bias + column, total[0]);
      store(bias + column + lanes, total[1]);
    }
  }
}

/// gradient [Inputs, 32], in tiles of Rows.
template <int Rows, int Inputs>
PERFPIPE_INLINE void outer(const float* x, const float* y, const Pairs& pairs, bool fresh, float* gradient) {
  static_assert(Inputs % Rows == 0);
  for (int i = 0; i < Inputs; i += Rows) outer_tile<Rows, false>(x + i, y, pairs, fresh, gradient + i * maps, nullptr);
}
template <int Rows, int Inputs>
PERFPIPE_INLINE void outer(const float* x, const float* y, const Pairs& pairs, bool fresh, float* gradient,
                           float* bias) {
  static_assert(Inputs % Rows == 0);
  outer_tile<Rows, true>(x, y, pairs, fresh, gradient, bias);
  for (int i = Rows; i < Inputs; i += Rows)
    outer_tile<Rows, false>(x + i, y, pairs, fresh, gradient + i * maps, nullptr);
}

void features(const float* conv1, const float* conv1_bias, const float* conv2, const float* conv2_bias,
              const float* curves, int rows, float* l2, float* l3) {
  for (int block = 0; block < rows; block += training_rows) {
    float* const features = l3 + block * maps;
    float* const before = l2 + block * l2_row;
    for (int i = 0; i < training_rows * maps; i += vector_lanes) store(features + i, load(conv2_bias + i % maps));
    for (int first = 0; first < positions; first += chunk) {
      for (int t = first; t < first + chunk; ++t)
        product<samples_of_curve>(
            curves + block * samples_of_curve + t, training_rows, conv1, taps,
            [&](int, int column) { return load(conv1_bias + column); },
            [&](int row, int column, Vector sum) { store(before + row * l2_row + t * maps + column, relu(sum)); });
      product<l2_row>(
          before + first * maps, training_rows, conv2 + first * quadrant, chunk * maps,
          [&](int row, int column) { return load(features + row * maps + column); },
          [&](int row, int column, Vector sum) { store(features + row * maps + column, sum); });
    }
    for (int i = 0; i < training_rows * maps; i += vector_lanes) store(features + i, relu(load(features + i)));
  }
}

void features_backward(const float* conv2_transposed, const float* curves, int rows, const float* l2, const float* d_l3,
                       bool fresh, float* d_conv1, float* d_conv1_bias, float* d_conv2, float* d_conv2_bias) {
  outer<outer_rows_l2, l2_row>(l2, d_l3, {rows, l2_row, maps}, fresh, d_conv2, d_conv2_bias);
  alignas(64) float d_l2[training_rows * chunk * maps];
  for (int block = 0; block < rows; block += training_rows) {
    const int here = rows - block < training_rows ? rows - block : training_rows;
    for (int first = 0; first < positions; first += chunk) {
      for (int t = 0; t < chunk; ++t) {
        const float* const open = l2 + block * l2_row + (first + t) * maps;
        product<maps>(d_l3 + block * maps, training_rows, conv2_transposed + (first + t) * quadrant, maps, from_zero(),
                      [&](int row, int column, Vector sum) {
                        store(d_l2 + (row * chunk + t) * maps + column, gate(open + row * l2_row + column, sum));
                      });
      }
      outer<outer_rows_taps, taps>(curves + block * samples_of_curve + first, d_l2,
                                   {here, samples_of_curve, chunk * maps, chunk, 1, maps},
                                   fresh && block == 0 && first == 0, d_conv1, d_conv1_bias);
    }
  }
}

void pooled_features(const float* conv1, const float* conv1_bias, const float* curves, int rows, float* l3,
                     std::int32_t* winner) {
  alignas(64) float l2[training_rows * l2_row];
  for (int block = 0; block < rows; block += training_rows) {
    for (int t = 0; t < positions; ++t)
      product<samples_of_curve>(
          curves + block * samples_of_curve + t, training_rows, conv1, taps, from_zero(),
          [&](int row, int column, Vector sum) { store(l2 + row * l2_row + t * maps + column, sum); });
    // Bias and ReLU are monotone: they come after the maximum, with the same result.
    for (int row = 0; row < training_rows; ++row)
      for (int column = 0; column < maps; column += vector_lanes) {
        const float* const here = l2 + row * l2_row + column;
        Vector best = load(here);
        IntVector at{};
        for (int t = 1; t < positions; ++t) {
          const Vector next = load(here + t * maps);
          const IntVector better = next > best;
          best = better ? next : best;
          at = better ? IntVector{} + t : at;
        }
        store(l3 + (block + row) * maps + column, relu(best + load(conv1_bias + column)));
        *reinterpret_cast<IntVector*>(winner + (block + row) * maps + column) = at;
      }
  }
}

void add_rows(const float* values, int rows, int columns, bool fresh, float* sum) {
  for (int column = 0; column < columns; column += vector_lanes) {
    Vector total = fresh ? Vector{} : load(sum + column);
    for (int row = 0; row < rows; ++row) total += load(values + row * columns + column);
    store(sum + column, total);
  }
}

void pooled_backward(const float* curves, int rows, const std::int32_t* winner, const float* d_l3, bool fresh,
                     float* d_conv1, float* d_conv1_bias) {
  // Filters one after the other, each padded to whole vectors: what lies behind the 36 taps is not used.
  constexpr int width = 48;
  alignas(64) float gradient[maps * width]{};
  for (int row = 0; row < rows; ++row)
    for (int map = 0; map < maps; ++map) {
      const float* const window = curves + row * samples_of_curve + winner[row * maps + map];
      const float d = d_l3[row * maps + map];
      for (int k = 0; k < taps; k += vector_lanes) {
        float* const at = gradient + map * width + k;
        store(at, d * *reinterpret_cast<const Unaligned*>(window + k) + load(at));
      }
    }
  for (int map = 0; map < maps; ++map)
    for (int k = 0; k < taps; ++k)
      d_conv1[k * maps + map] = (fresh ? 0.0f : d_conv1[k * maps + map]) + gradient[map * width + k];
  add_rows(d_l3, rows, maps, fresh, d_conv1_bias);
}

/// Position of the upper left corner of a 2x2 window in its patch.
constexpr int corner(int window) { return window / 2 * 3 + window % 2; }

void windows(const float* conv3, const float* conv3_bias, const float* l3, int samples, float* l4) {
  for (int window = 0; window < windows_of_patch; ++window) {
    float* const out = l4 + window * maps;
    // A window is two neighbours of each line: 64 values without a gap, twice.
    const float* const upper = l3 + corner(window) * maps;
    product<l3_row>(
        upper, samples, conv3, 2 * maps, [&](int, int column) { return load(conv3_bias + column); },
        [&](int row, int column, Vector sum) { store(out + row * hidden + column, sum); });
    product<l3_row>(
        upper + 3 * maps, samples, conv3 + 2 * quadrant, 2 * maps,
        [&](int row, int column) { return load(out + row * hidden + column); },
        [&](int row, int column, Vector sum) { store(out + row * hidden + column, relu(sum)); });
  }
}

void windows_backward(const float* conv3_transposed, const float* l3, int samples, const float* d_l4, bool fresh,
                      float* d_l3, float* d_conv3, float* d_conv3_bias) {
  const int filled = (samples + 3) / 4 * 4;
  for (int i = 0; i < filled * l3_row; i += vector_lanes) store(d_l3 + i, Vector{});
  for (int window = 0; window < windows_of_patch; ++window) {
    const float* const d = d_l4 + window * maps;
    for (int line = 0; line < 2; ++line) {
      const float* const left = l3 + (corner(window) + 3 * line) * maps;
      const Pairs pairs{samples, l3_row, hidden};
      if (line == 0)
        outer<outer_rows, 2 * maps>(left, d, pairs, fresh && window == 0, d_conv3, d_conv3_bias);
      else
        outer<outer_rows, 2 * maps>(left, d, pairs, fresh && window == 0, d_conv3 + 2 * quadrant);
    }
    for (int place = 0; place < 4; ++place) {
      float* const to = d_l3 + (corner(window) + corner(place)) * maps;
      product<hidden>(
          d, samples, conv3_transposed + place * quadrant, maps,
          [&](int row, int column) { return load(to + row * l3_row + column); },
          [&](int row, int column, Vector sum) { store(to + row * l3_row + column, sum); });
    }
  }
  for (int i = 0; i < filled * l3_row; i += vector_lanes) store(d_l3 + i, gate(l3 + i, load(d_l3 + i)));
}

void connected(const float* weights, const float* start, int start_stride, const float* input, int samples,
               float* output) {
  for (int panel = 0; panel < hidden; panel += maps)
    product<hidden>(
        input, samples, weights + panel * hidden, hidden,
        [&](int row, int column) { return load(start + row * start_stride + panel + column); },
        [&](int row, int column, Vector sum) { store(output + row * hidden + panel + column, relu(sum)); });
}

void connected_backward(const float* weights_transposed, const float* input, int samples, const float* d_output,
                        bool fresh, float* d_input, float* d_weights) {
  for (int panel = 0; panel < hidden; panel += maps) {
    outer<outer_rows, hidden>(input, d_output + panel, {samples, hidden, hidden}, fresh, d_weights + panel * hidden);
    product<hidden>(d_output, samples, weights_transposed + panel * hidden, hidden, from_zero(),
                    [&](int row, int column, Vector sum) {
                      const int at = row * hidden + panel + column;
                      store(d_input + at, gate(input + at, sum));
                    });
  }
}

void panel(const float* weights, const float* bias, const float* input, int rows, bool with_relu, float* output,
           int output_stride) {
  product<maps>(
      input, rows, weights, maps, [&](int, int column) { return load(bias + column); },
      [&](int row, int column, Vector sum) {
        store(output + row * output_stride + column, with_relu ? relu(sum) : sum);
      });
}

void gated(const float* weights, const float* input, int inputs, int rows, const float* open, float* output) {
  const auto finish = [&](int row, int column, Vector sum) {
    store(output + row * maps + column, gate(open + row * maps + column, sum));
  };
  if (inputs == hidden)
    product<hidden>(input, rows, weights, hidden, from_zero(), finish);
  else
    product<maps>(input, rows, weights, maps, from_zero(), finish);
}

void panel_gradient(const float* input, int rows, const float* d_output, int stride, float* gradient) {
  outer<outer_rows, maps>(input, d_output, {rows, maps, stride}, true, gradient);
}

void output(const float* fc8, float bias, const float* l7, int samples, float* estimates) {
  for (int row = 0; row < samples; ++row) {
    // 32 partial sums, then halves onto halves: the same order for every width of vectors.
    alignas(64) float partial[maps];
    for (int column = 0; column < maps; column += vector_lanes) {
      Vector sum{};
      for (int i = column; i < hidden; i += maps) sum = load(l7 + row * hidden + i) * load(fc8 + i) + sum;
      store(partial + column, sum);
    }
    for (int half = maps / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) partial[i] += partial[i + half];
    estimates[row] = partial[0] + bias;
  }
}

void output_backward(const float* fc8, const float* l7, int samples, const float* d_estimates, bool fresh, float* d_l7,
                     float* d_fc8) {
  if (fresh)
    for (int i = 0; i < hidden; i += vector_lanes) store(d_fc8 + i, Vector{});
  for (int row = 0; row < samples; ++row)
    for (int i = 0; i < hidden; i += vector_lanes) {
      const float* const here = l7 + row * hidden + i;
      store(d_fc8 + i, d_estimates[row] * load(here) + load(d_fc8 + i));
      store(d_l7 + row * hidden + i, gate(here, d_estimates[row] * load(fc8 + i)));
    }
}

constexpr TrainingKernel make_kernel(const char* name) {
  return {name,
          features,
          features_backward,
          pooled_features,
          pooled_backward,
          windows,
          windows_backward,
          connected,
          connected_backward,
          panel,
          gated,
          panel_gradient,
          output,
          output_backward,
          add_rows};
}

#undef PERFPIPE_INLINE

}  // namespace
}  // namespace perfpipe
