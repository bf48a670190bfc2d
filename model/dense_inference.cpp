#include "model/dense_inference.hpp"

#include "core/aligned.hpp"
#include "core/parallel.hpp"
#include "model/dense_errors.hpp"
#include "model/dense_weights.hpp"
#include "model/scaling.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace perfpipe {
namespace {

constexpr auto samples = static_cast<std::size_t>(curve_samples);
constexpr auto maps = static_cast<std::size_t>(feature_maps);
constexpr auto half = static_cast<std::size_t>(chain_features);  // of L5
constexpr auto block = static_cast<std::size_t>(dense_block);

/// A scaled curve peaks at the size of the network's input scale. From here on the sums of a network could overflow,
/// and a ReLU hide it.
constexpr float largest_input = 1e12f;

constexpr std::size_t voxels_per_task = 2048;  // some 5 ms; a block that is not full at its end costs less than 1 %
constexpr std::size_t lines_per_task = 16;     // each task computes one line of L4 more than it has lines: 0.3 %

/// Slices with a border of one voxel, in which every voxel has a whole patch, and lines that can be read in whole
/// blocks.
struct PaddedSlab {
  std::size_t slices, ny, nx;
  std::size_t blocks() const { return (nx + block) / block; }  ///< of windows; a line has nx + 1 of them
  std::size_t width() const { return blocks() * block + 1; }   ///< voxels of a line
  std::size_t lines() const { return ny + 2; }                 ///< of a slice
  std::size_t floats() const { return slices * lines() * width() * maps; }
};

}  // namespace

std::vector<const DenseKernel*> dense_kernels() {
  std::vector<const DenseKernel*> kernels;
#ifdef __x86_64__
  if (avx512_kernel() && __builtin_cpu_supports("avx512f")) kernels.push_back(avx512_kernel());
  if (avx2_kernel() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    kernels.push_back(avx2_kernel());
#endif
  kernels.push_back(portable_kernel());
  return kernels;
}

const DenseKernel* fast_dense_kernel() {
#ifdef __x86_64__
  static const bool usable = [] {
    if (amx_kernel() == nullptr || !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bf16"))
      return false;
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned tiles = 1u << 24, tiles_of_bfloat16 = 1u << 22;  // of leaf 7, edx
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & tiles) == 0 || (d & tiles_of_bfloat16) == 0) return false;
    constexpr long request_permission = 0x1023, tile_data = 18;  // the kernel keeps 8 KB of tiles for each thread then
    return ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  }();
  return usable ? amx_kernel() : nullptr;
#else
  return nullptr;
#endif
}

std::int64_t dense_bytes(std::int64_t ny, std::int64_t nx) {
  const PaddedSlab slab{1, static_cast<std::size_t>(ny), static_cast<std::size_t>(nx)};
  return static_cast<std::int64_t>(slab.floats() * sizeof(float));
}

struct DenseNetwork::State {
  const DenseKernel& kernel;
  DenseParameters parameters;
  DenseWeights weights;
  AlignedFloats fast{0};              ///< packed for the fast kernel
  std::array<float, maps> outside{};  ///< L3 of a zero curve

  State(const WeightFile& file, const std::string& source, std::span<const float> aif, const DenseKernel& k);

  void fill_features(const CurveSlab& slab, const PaddedSlab& padded, std::size_t first_line, std::size_t end_line,
                     float* l3) const;
  void estimate_lines(const CurveSlab& slab, const PaddedSlab& padded, std::size_t slice, std::size_t first,
                      const float* l3, float* map) const;
};

DenseNetwork::State::State(const WeightFile& file, const std::string& source, std::span<const float> aif,
                           const DenseKernel& k)
    : kernel(k), parameters(file, source, aif), weights(parameters.weights()) {
  if (kernel.pack != nullptr) {
    fast = AlignedFloats((static_cast<std::size_t>(kernel.packed_size) + 1) / 2);
    auto* const to = reinterpret_cast<unsigned short*>(fast.data());
    kernel.pack(weights, to);
    weights.fast = to;
  }
  AlignedFloats zeros(block * samples), l3(block * maps);
  kernel.features(weights, zeros.data(), l3.data());
  std::copy_n(l3.data(), maps, outside.begin());
}

/// L3 of the padded lines [first_line, end_line), counted through all slices.
void DenseNetwork::State::fill_features(const CurveSlab& slab, const PaddedSlab& padded, std::size_t first_line,
                                        std::size_t end_line, float* l3) const {
  AlignedFloats inputs(block * samples), outputs(block * maps);
  std::array<float*, block> targets{};
  std::size_t waiting = 0;
  const auto flush = [&] {
    kernel.features(weights, inputs.data(), outputs.data());
    for (std::size_t i = 0; i < waiting; ++i) std::copy_n(outputs.data() + i * maps, maps, targets[i]);
    waiting = 0;
  };
  for (std::size_t line = first_line; line < end_line; ++line) {
    const std::size_t slice = line / padded.lines(), y = line % padded.lines();
    const bool border = y == 0 || y == padded.lines() - 1;
    const std::size_t row = border ? 0 : (slice * padded.ny + y - 1) * padded.nx;
    float* target = l3 + line * padded.width() * maps;
    for (std::size_t x = 0; x < padded.width(); ++x, target += maps) {
      if (border || x == 0 || x > padded.nx || slab.inside[row + x - 1] == 0) {
        std::copy(outside.begin(), outside.end(), target);
        continue;
      }
      const std::span<float> scaled(inputs.data() + waiting * samples, samples);
      scale_curve(slab.curves.subspan((row + x - 1) * samples, samples), parameters.factor(), scaled);
      // Counted, not searched for: that goes in vectors.
      if (std::count_if(scaled.begin(), scaled.end(), [](float c) { return std::abs(c) < largest_input; }) !=
          curve_samples)
        refuse_curve({static_cast<std::int64_t>(x) - 1, static_cast<std::int64_t>(y) - 1,
                      slab.first_slice + static_cast<std::int64_t>(slice)});
      targets[waiting] = target;
      if (++waiting == block) flush();
    }
  }
  if (waiting > 0) flush();
}

/// The map in up to lines_per_task lines of a slice from `first` on.
void DenseNetwork::State::estimate_lines(const CurveSlab& slab, const PaddedSlab& padded, std::size_t slice,
                                         std::size_t first, const float* l3, float* map) const {
  const std::size_t end = std::min(padded.ny, first + lines_per_task);
  const std::size_t l4_line = padded.blocks() * block * maps, l3_line = padded.width() * maps;
  AlignedFloats l4(2 * l4_line), l5(block * half), estimates(block);
  const float* const l3_slice = l3 + slice * padded.lines() * l3_line;
  const std::uint8_t* const inside = slab.inside.data() + slice * padded.ny * padded.nx;
  float* const map_slice = map + slice * padded.ny * padded.nx;

  // Line y of the windows lies between the voxels' lines y - 1 and y, and window x between x - 1 and x.
  const auto touches = [&](std::size_t y, std::size_t x) {
    const std::size_t from = x == 0 ? 0 : x - 1, to = std::min(padded.nx, x + block);
    for (std::size_t line = y == 0 ? 0 : y - 1; line < std::min(padded.ny, y + 1); ++line)
      for (std::size_t i = from; i < to; ++i)
        if (inside[line * padded.nx + i] != 0) return true;
    return false;
  };
  const auto fill_windows = [&](std::size_t y) {
    for (std::size_t x = 0; x < padded.blocks() * block; x += block)
      if (touches(y, x))
        kernel.windows(weights, l3_slice + y * l3_line + x * maps, l3_slice + (y + 1) * l3_line + x * maps,
                       l4.data() + (y % 2) * l4_line + x * maps);
  };
  std::array<std::size_t, block> targets{};
  std::size_t waiting = 0;
  const auto flush = [&] {
    kernel.head(weights, l5.data(), estimates.data());
    for (std::size_t i = 0; i < waiting; ++i) {
      const float estimate = estimates.data()[i];
      if (!std::isfinite(estimate))
        refuse_estimate(parameters.facts().parameter, {static_cast<std::int64_t>(targets[i] % padded.nx),
                                                       static_cast<std::int64_t>(targets[i] / padded.nx),
                                                       slab.first_slice + static_cast<std::int64_t>(slice)});
      map_slice[targets[i]] = std::max(estimate, 0.0f);
    }
    waiting = 0;
  };
  fill_windows(first);
  for (std::size_t y = first; y < end; ++y) {
    fill_windows(y + 1);
    for (std::size_t x = 0; x < padded.nx; ++x) {
      if (inside[y * padded.nx + x] == 0) continue;
      float* const features = l5.data() + waiting * half;
      for (std::size_t line = 0; line < 2; ++line)
        std::copy_n(l4.data() + ((y + line) % 2) * l4_line + x * maps, 2 * maps, features + line * 2 * maps);
      targets[waiting] = y * padded.nx + x;
      if (++waiting == block) flush();
    }
  }
  if (waiting > 0) flush();
}

DenseNetwork::DenseNetwork(const WeightFile& weights, const std::string& source, std::span<const float> aif,
                           const DenseKernel& kernel)
    : state_(std::make_unique<const State>(weights, source, aif, kernel)) {}
DenseNetwork::~DenseNetwork() = default;
DenseNetwork::DenseNetwork(DenseNetwork&&) noexcept = default;
DenseNetwork& DenseNetwork::operator=(DenseNetwork&&) noexcept = default;

const WeightFacts& DenseNetwork::facts() const { return state_->parameters.facts(); }

std::vector<float> DenseNetwork::estimate(const CurveSlab& slab, int threads, std::vector<float>& features) const {
  const auto ny = static_cast<std::size_t>(slab.ny), nx = static_cast<std::size_t>(slab.nx);
  if (ny * nx == 0 || slab.inside.size() % (ny * nx) != 0 || slab.curves.size() != slab.inside.size() * samples)
    throw std::invalid_argument(
        "DenseNetwork::estimate: curves [slices, ny, nx, 70] and inside [slices, ny, nx] needed");
  const PaddedSlab padded{slab.inside.size() / (ny * nx), ny, nx};
  if (features.size() < padded.floats()) features.resize(padded.floats());
  std::vector<float> map(slab.inside.size(), 0.0f);

  const std::size_t lines = std::max<std::size_t>(1, voxels_per_task / nx);
  parallel_blocks(padded.slices * padded.lines(), lines, threads, [&](std::size_t begin, std::size_t end) {
    state_->fill_features(slab, padded, begin, end, features.data());
  });
  const std::size_t tasks = (ny + lines_per_task - 1) / lines_per_task;
  parallel_blocks(padded.slices * tasks, 1, threads, [&](std::size_t task, std::size_t) {
    state_->estimate_lines(slab, padded, task / tasks, task % tasks * lines_per_task, features.data(), map.data());
  });
  return map;
}

}  // namespace perfpipe
