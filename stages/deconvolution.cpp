#include "stages/deconvolution.hpp"

#include "core/error.hpp"
#include "core/parallel.hpp"
#include "core/simd.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>

namespace perfpipe {
namespace simd {

/// Maximum, its first place and the sum of each column of `residues` [length, voxels].
void summarise_plainly(const float* residues, std::int64_t length, std::size_t voxels, float* largest,
                       std::int32_t* place, float* sum) {
  for (std::size_t v = 0; v < voxels; ++v) {
    largest[v] = sum[v] = residues[v];
    place[v] = 0;
    for (std::int64_t t = 1; t < length; ++t) {
      const float k = residues[static_cast<std::size_t>(t) * voxels + v];
      if (k > largest[v]) {
        largest[v] = k;
        place[v] = static_cast<std::int32_t>(t);
      }
      sum[v] += k;
    }
  }
}

/// The same, 64 voxels at a time; `voxels` is a multiple of that.
PERFPIPE_SIMD void summarise(const float* residues, std::int64_t length, std::size_t voxels, float* largest,
                             std::int32_t* place, float* sum) {
  constexpr std::size_t groups = 4;
  for (std::size_t v = 0; v < voxels; v += groups * lanes) {
    Lanes top[groups], total[groups];
    IntLanes where[groups];
    for (std::size_t g = 0; g < groups; ++g) {
      top[g] = total[g] = *reinterpret_cast<const Lanes*>(residues + v + g * lanes);
      where[g] = IntLanes{};
    }
    for (std::int64_t t = 1; t < length; ++t)
      for (std::size_t g = 0; g < groups; ++g) {
        const Lanes k =
            *reinterpret_cast<const Lanes*>(residues + static_cast<std::size_t>(t) * voxels + v + g * lanes);
        const auto higher = k > top[g];
        top[g] = higher ? k : top[g];
        where[g] = higher ? IntLanes{} + static_cast<std::int32_t>(t) : where[g];
        total[g] += k;
      }
    for (std::size_t g = 0; g < groups; ++g) {
      *reinterpret_cast<Lanes*>(largest + v + g * lanes) = top[g];
      *reinterpret_cast<IntLanes*>(place + v + g * lanes) = where[g];
      *reinterpret_cast<Lanes*>(sum + v + g * lanes) = total[g];
    }
  }
}

}  // namespace simd

void residue_parameters(std::span<const float> residues, std::size_t voxels, std::int64_t samples, double dt,
                        const ParameterScale& scale, const std::array<std::span<float>, 4>& parameters,
                        std::span<std::uint8_t> negative_delay) {
  const auto length = static_cast<std::int64_t>(residues.size() / voxels);
  std::vector<float> largest(voxels), sum(voxels);
  std::vector<std::int32_t> place(voxels);
  const auto summarise = voxels % (4 * simd::lanes) == 0 ? simd::summarise : simd::summarise_plainly;
  summarise(residues.data(), length, voxels, largest.data(), place.data(), sum.data());
  const double flow = scale.flow(), volume = scale.volume() * dt;
  constexpr double most = std::numeric_limits<float>::max();
  for (std::size_t v = 0; v < voxels; ++v) {
    for (const auto& map : parameters) map[v] = 0.0f;
    negative_delay[v] = 0;
    const double k = largest[v], area = sum[v];
    if (!(k > 0.0) || !std::isfinite(area)) continue;
    const double cbf = flow * k, cbv = volume * area,
                 mtt = visible_mtt(dt * area / k, static_cast<double>(samples) * dt);
    if (cbf > most || std::abs(cbv) > most || std::abs(mtt) > most) continue;
    parameters[0][v] = static_cast<float>(cbf);
    parameters[1][v] = static_cast<float>(cbv);
    parameters[2][v] = static_cast<float>(mtt);
    const std::int64_t i = place[v];
    negative_delay[v] = i >= samples;
    if (negative_delay[v] != 0) continue;
    double peak = static_cast<double>(i);
    if (scale.subsample_tmax) {
      const auto at = [&](std::int64_t t) {
        return static_cast<double>(residues[static_cast<std::size_t>((t + length) % length) * voxels + v]);
      };
      const double before = at(i - 1), after = at(i + 1), curvature = before - 2.0 * k + after;
      if (curvature < 0.0) peak = std::max(0.0, peak + (before - after) / (2.0 * curvature));
    }
    parameters[3][v] = static_cast<float>(dt * peak);
  }
}

void residue_parameters(const Deconvolution& method, const ParameterScale& scale, DeconvolvedBlock& block) {
  auto& p = block.parameters;
  residue_parameters(block.residues, deconvolution_block, method.samples(), method.dt(), scale,
                     {p[0], p[1], p[2], p[3]}, block.negative_delay);
}

float checked_float(double x) {
  if (!(std::abs(x) <= std::numeric_limits<float>::max()))
    throw InputError("the arterial input function is too small to be deconvolved by: check its unit");
  return static_cast<float>(x);
}

namespace {

/// Up to deconvolution_block voxels of one slice.
struct Block {
  std::array<std::uint32_t, deconvolution_block> voxel;
  std::size_t count = 0;
};

std::vector<Block> cut_into_blocks(std::size_t n, std::span<const std::uint8_t> inside, std::size_t slice) {
  std::vector<Block> blocks;
  for (std::size_t v = 0; v < n; ++v) {
    if (v % slice == 0) blocks.emplace_back();
    if (!inside.empty() && inside[v] == 0) continue;
    if (blocks.back().count == deconvolution_block) blocks.emplace_back();
    blocks.back().voxel[blocks.back().count++] = static_cast<std::uint32_t>(v);
  }
  return blocks;
}

/// The block's curves as columns [samples, deconvolution_block], zeros behind the last. Sixteen curves at a time: whole
/// cache lines are written, where lines a power of two apart would drive each other out.
void gather(const Block& block, std::span<const float> curves, std::size_t samples, std::span<float> columns) {
  constexpr std::size_t together = 16;
  const std::vector<float> zeros(samples, 0.0f);
  for (std::size_t first = 0; first < deconvolution_block; first += together) {
    std::array<const float*, together> from{};
    for (std::size_t i = 0; i < together; ++i)
      from[i] = first + i < block.count ? &curves[block.voxel[first + i] * samples] : zeros.data();
    for (std::size_t t = 0; t < samples; ++t)
      for (std::size_t i = 0; i < together; ++i) columns[t * deconvolution_block + first + i] = from[i][t];
  }
}

}  // namespace

std::int64_t deconvolve(const Deconvolution& method, std::span<const float> curves,
                        std::span<const std::uint8_t> inside, std::size_t slice, const ParameterScale& scale,
                        int threads, const DeconvolutionOutput& output) {
  const auto n = static_cast<std::size_t>(method.samples()), length = static_cast<std::size_t>(method.length());
  const auto blocks = cut_into_blocks(curves.size() / n, inside, std::max<std::size_t>(slice, 1));
  std::atomic<std::int64_t> negative{0};
  // A few calls for each thread, so that the buffers are seldom made anew. Blocks, not calls, decide the bits.
  const auto calls = static_cast<std::size_t>(4 * std::max(1, threads));
  parallel_blocks(blocks.size(), (blocks.size() + calls - 1) / calls, threads, [&](std::size_t begin, std::size_t end) {
    std::vector<float> gathered(deconvolution_block * n);
    DeconvolvedBlock result;
    result.residues.resize(length * deconvolution_block);
    result.negative_delay.resize(deconvolution_block);
    for (auto& map : result.parameters) map.resize(deconvolution_block);
    result.extras.assign(output.extras.size(), std::vector<float>(deconvolution_block));
    std::int64_t negative_here = 0;
    for (std::size_t b = begin; b < end; ++b) {
      const Block& block = blocks[b];
      if (block.count == 0) continue;
      gather(block, curves, n, gathered);
      method.solve(gathered.data(), scale, result);
      for (std::size_t i = 0; i < block.count; ++i) {
        const std::size_t v = block.voxel[i];
        for (std::size_t p = 0; p < 4; ++p) output.maps[p][v] = result.parameters[p][i];
        for (std::size_t e = 0; e < output.extras.size(); ++e) output.extras[e][v] = result.extras[e][i];
        if (!output.residues.empty())
          for (std::size_t t = 0; t < length; ++t) {
            const float k = result.residues[t * deconvolution_block + i];
            output.residues[v * length + t] = std::isfinite(k) ? k : 0.0f;
          }
        negative_here += result.negative_delay[i];
      }
    }
    negative += negative_here;
  });
  return negative;
}

}  // namespace perfpipe
