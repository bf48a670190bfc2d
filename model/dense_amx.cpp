// The fast dense kernel: L1 to L3, L6 and L7 on the tile multipliers of AMX. Every number is the sum of two of 8 bits
// (bfloat16), high + low, and a product is high * high + high * low + low * high with sums in single precision: about
// 16 bits of 24. The layers behind are those of the AVX-512 kernel.
#include "model/dense_kernel.hpp"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include <immintrin.h>

namespace perfpipe {
namespace {
constexpr int vector_lanes = 16, tile_rows = 12;
}
}  // namespace perfpipe

#include "model/dense_kernel_impl.hpp"

namespace perfpipe {
namespace {

using Brain = unsigned short;  ///< a bfloat16

constexpr int depth = 32;           ///< of a tile's product
constexpr int panel = 16 * depth;   ///< numbers of a right tile: depth x 16 outputs, pairs of inputs side by side
constexpr int rest = taps - depth;  ///< taps that do not fit into one tile: high, low and high again in a tile more
constexpr int curve_stride = 96;    ///< of a row of scaled curves; a tile may read beyond the 70
constexpr int l2_stride = positions * maps;
constexpr int together = 4;  ///< positions whose sums are under way at once: a sum takes 52 cycles to come back

struct Pair {
  Brain high, low;
};
Pair split(float x) {
  const auto bits = [](float number) {
    return static_cast<Brain>(_mm_extract_epi16(reinterpret_cast<__m128i>(_mm_cvtneps_pbh(_mm_set_ss(number))), 0));
  };
  const Brain high = bits(x);
  const float of_high = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(high) << 16)));
  return {high, bits(x - of_high)};
}

/// Sixteen numbers split.
void split(__m512 x, Brain* high, Brain* low) {
  const auto top = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
  const __m512 of_top = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(top), 16));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), top);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x - of_top)));
}

/// Where the packed weights lie: for each half of its outputs conv1's first 32 taps high and low, and its last 4; then
/// the matrices of conv2, fc6 and fc7.
constexpr int conv1_high = 0, conv1_low = panel, conv1_rest = 2 * panel, conv1_half = 3 * panel;
constexpr int matrix_step = 4 * panel;  ///< of 32 inputs and 32 outputs: for each half of the outputs high and low
constexpr int fc_panel = hidden / depth * matrix_step, fc_panels = hidden / maps;
constexpr int conv2_start = 2 * conv1_half, fc6_start = conv2_start + positions * matrix_step,
              fc7_start = fc6_start + fc_panels * fc_panel, packed_size = fc7_start + fc_panels * fc_panel;

void put(Brain* tile, int input, int output, Brain x) { tile[input / 2 * depth + output * 2 + input % 2] = x; }

/// A matrix [steps * 32, 32].
void pack_matrix(const float* from, int steps, Brain* to) {
  for (int input = 0; input < steps * depth; ++input)
    for (int output = 0; output < maps; ++output) {
      const Pair x = split(from[input * maps + output]);
      Brain* const tile = to + input / depth * matrix_step + output / 16 * 2 * panel;
      put(tile, input % depth, output % 16, x.high);
      put(tile + panel, input % depth, output % 16, x.low);
    }
}

void pack(const DenseWeights& w, unsigned short* packed) {
  for (int i = 0; i < packed_size; ++i) packed[i] = 0;
  for (int tap = 0; tap < taps; ++tap)
    for (int output = 0; output < maps; ++output) {
      const Pair x = split(w.conv1[tap * maps + output]);
      Brain* const conv1 = packed + output / 16 * conv1_half;
      if (tap < depth) {
        put(conv1 + conv1_high, tap, output % 16, x.high);
        put(conv1 + conv1_low, tap, output % 16, x.low);
      } else {
        put(conv1 + conv1_rest, tap - depth, output % 16, x.high);            // times high
        put(conv1 + conv1_rest, tap - depth + rest, output % 16, x.high);     // times low
        put(conv1 + conv1_rest, tap - depth + 2 * rest, output % 16, x.low);  // times high
      }
    }
  if (w.conv2 != nullptr) pack_matrix(w.conv2, positions, packed + conv2_start);
  for (int p = 0; p < fc_panels; ++p) {
    pack_matrix(w.fc6 + p * hidden * maps, hidden / depth, packed + fc6_start + p * fc_panel);
    pack_matrix(w.fc7 + p * hidden * maps, hidden / depth, packed + fc7_start + p * fc_panel);
  }
}

/// Tiles 0 to 3 sums, 4 the left and 5 to 7 the right operands.
struct alignas(64) TileShapes {
  unsigned char palette = 1, start_row = 0, reserved[14] = {};
  unsigned short bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  unsigned char rows[16] = {dense_block, dense_block, dense_block, dense_block, dense_block, 16, 16, 16};
};

/// The curves split, and the taps that do not fit into one tile once more for each position.
struct alignas(64) SplitCurves {
  Brain high[dense_block * curve_stride], low[dense_block * curve_stride];
  Brain last[positions * dense_block * 3 * rest + depth];
};

void split_curves(const float* curves, SplitCurves& s) {
  for (int row = 0; row < dense_block; ++row)
    for (int t = 0; t < curve_stride; t += 16) {
      const auto inside = static_cast<__mmask16>(t + 16 <= samples_of_curve ? 0xffff
                                                 : t < samples_of_curve     ? (1 << (samples_of_curve - t)) - 1
                                                                            : 0);
      split(_mm512_maskz_loadu_ps(inside, curves + row * samples_of_curve + t), s.high + row * curve_stride + t,
            s.low + row * curve_stride + t);
    }
  Brain* to = s.last;
  for (int t = 0; t < positions; ++t)
    for (int row = 0; row < dense_block; ++row, to += 3 * rest) {
      const int from = row * curve_stride + t + depth;
      __builtin_memcpy(to, s.high + from, rest * sizeof(Brain));
      __builtin_memcpy(to + rest, s.low + from, rest * sizeof(Brain));
      __builtin_memcpy(to + 2 * rest, s.high + from, rest * sizeof(Brain));
    }
  for (int i = 0; i < depth; ++i) to[i] = 0;
}

/// conv1 of half of the outputs at four positions from `first` on (the last again and again where there are fewer):
/// sums [4][12][16], without bias.
void convolve(const SplitCurves& s, int first, float* sums) {
  const auto at = [&](int i) { return first + i < positions ? first + i : positions - 1; };
  constexpr int stride = curve_stride * sizeof(Brain), last_stride = 3 * rest * sizeof(Brain);
  const auto last = [&](int i) { return s.last + at(i) * dense_block * 3 * rest; };
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
#define PERFPIPE_AT(i)                    \
  _tile_loadd(4, s.high + at(i), stride); \
  _tile_dpbf16ps(i, 4, 5);                \
  _tile_dpbf16ps(i, 4, 6)
  PERFPIPE_AT(0);
  PERFPIPE_AT(1);
  PERFPIPE_AT(2);
  PERFPIPE_AT(3);
#undef PERFPIPE_AT
#define PERFPIPE_AT(i)                   \
  _tile_loadd(4, s.low + at(i), stride); \
  _tile_dpbf16ps(i, 4, 5);               \
  _tile_loadd(4, last(i), last_stride);  \
  _tile_dpbf16ps(i, 4, 7)
  PERFPIPE_AT(0);
  PERFPIPE_AT(1);
  PERFPIPE_AT(2);
  PERFPIPE_AT(3);
#undef PERFPIPE_AT
  constexpr int bytes = 16 * sizeof(float), floats = dense_block * 16;
  _tile_stored(0, sums, bytes);
  _tile_stored(1, sums + floats, bytes);
  _tile_stored(2, sums + 2 * floats, bytes);
  _tile_stored(3, sums + 3 * floats, bytes);
}

void load_conv1(const Brain* packed, int half) {
  _tile_loadd(5, packed + half * conv1_half + conv1_high, 64);
  _tile_loadd(6, packed + half * conv1_half + conv1_low, 64);
  _tile_loadd(7, packed + half * conv1_half + conv1_rest, 64);
}

/// ReLU of bias + left [12, steps * 32] x a packed matrix [steps * 32, 32], into rows `to` of `to_stride`.
void multiply(const Brain* high, const Brain* low, int left_stride, const Brain* right, int steps, const float* bias,
              float* to, int to_stride) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const int stride = left_stride * static_cast<int>(sizeof(Brain));
  for (int step = 0; step < steps; ++step, right += matrix_step) {
    _tile_loadd(4, high + step * depth, stride);
    _tile_loadd(5, right, 64);
    _tile_loadd(6, right + panel, 64);
    _tile_loadd(7, right + 2 * panel, 64);
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 6);
    _tile_dpbf16ps(2, 4, 7);
    _tile_loadd(6, right + 3 * panel, 64);
    _tile_dpbf16ps(3, 4, 6);
    _tile_loadd(4, low + step * depth, stride);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(3, 4, 7);
  }
  constexpr int floats = dense_block * 16, bytes = 16 * sizeof(float);
  alignas(64) float sums[4 * floats];
  _tile_stored(0, sums, bytes);
  _tile_stored(1, sums + floats, bytes);
  _tile_stored(2, sums + 2 * floats, bytes);
  _tile_stored(3, sums + 3 * floats, bytes);
  for (int half = 0; half < 2; ++half)
    for (int row = 0; row < dense_block; ++row) {
      const float* const sum = sums + 2 * half * floats + row * 16;
      const __m512 total = _mm512_load_ps(sum) + _mm512_load_ps(sum + floats) + _mm512_load_ps(bias + half * 16);
      _mm512_store_ps(to + row * to_stride + half * 16, relu(total));
    }
}

void convolved_fast(const DenseWeights& w, const SplitCurves& s, float* l3) {
  alignas(64) float sums[together * dense_block * 16];
  alignas(64) static thread_local Brain high[dense_block * l2_stride], low[dense_block * l2_stride];
  for (int half = 0; half < 2; ++half) {
    load_conv1(w.fast, half);
    const __m512 bias = _mm512_load_ps(w.conv1_bias + half * 16);
    for (int first = 0; first < positions; first += together) {
      convolve(s, first, sums);
      for (int i = 0; i < together && first + i < positions; ++i)
        for (int row = 0; row < dense_block; ++row) {
          const int place = row * l2_stride + (first + i) * maps + half * 16;
          const __m512 l2 = relu(_mm512_load_ps(sums + (i * dense_block + row) * 16) + bias);
          split(l2, high + place, low + place);
        }
    }
  }
  multiply(high, low, l2_stride, w.fast + conv2_start, positions, w.conv2_bias, l3, maps);
}

void pooled_fast(const DenseWeights& w, const SplitCurves& s, float* l3) {
  alignas(64) float sums[together * dense_block * 16];
  for (int half = 0; half < 2; ++half) {
    load_conv1(w.fast, half);
    for (int first = 0; first < positions; first += together) {
      convolve(s, first, sums);  // beyond the end the last position once more: the maximum stays
      for (int row = 0; row < dense_block; ++row) {
        float* const to = l3 + row * maps + half * 16;
        __m512 top = first == 0 ? _mm512_load_ps(sums + row * 16) : _mm512_load_ps(to);
        for (int i = 0; i < together; ++i)
          top = _mm512_max_ps(top, _mm512_load_ps(sums + (i * dense_block + row) * 16));
        _mm512_store_ps(to, top);
      }
    }
    const __m512 bias = _mm512_load_ps(w.conv1_bias + half * 16);
    for (int row = 0; row < dense_block; ++row) {
      float* const at = l3 + row * maps + half * 16;
      _mm512_store_ps(at, relu(_mm512_load_ps(at) + bias));
    }
  }
}

void fast_features(const DenseWeights& w, const float* curves, float* l3) {
  static constexpr TileShapes shapes{};
  alignas(64) SplitCurves s;
  split_curves(curves, s);
  _tile_loadconfig(&shapes);
  if (w.conv2)
    convolved_fast(w, s, l3);
  else
    pooled_fast(w, s, l3);
  _tile_release();
}

void fast_layer(const Brain* packed, const float* bias, const float* input, float* output) {
  alignas(64) Brain high[dense_block * hidden], low[dense_block * hidden];
  for (int i = 0; i < dense_block * hidden; i += 16) split(_mm512_load_ps(input + i), high + i, low + i);
  for (int p = 0; p < fc_panels; ++p)
    multiply(high, low, hidden, packed + p * fc_panel, hidden / depth, bias + p * maps, output + p * maps, hidden);
}

void fast_head(const DenseWeights& w, const float* l5, float* estimates) {
  static constexpr TileShapes shapes{};
  alignas(64) float l6[dense_block * hidden], l7[dense_block * hidden];
  _tile_loadconfig(&shapes);
  fast_layer(w.fast + fc6_start, w.fc6_bias, l5, l6);
  fast_layer(w.fast + fc7_start, w.fc7_bias, l6, l7);
  _tile_release();
  last_layer(w, l7, estimates);
}

}  // namespace
}  // namespace perfpipe

const perfpipe::DenseKernel* perfpipe::amx_kernel() {
  static constexpr DenseKernel kernel{"bf16 amx", fast_features, windows, fast_head, pack, packed_size};
  return &kernel;
}

#else

const perfpipe::DenseKernel* perfpipe::amx_kernel() { return nullptr; }

#endif
