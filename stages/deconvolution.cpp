#include "stages/deconvolution.hpp"

#include "core/error.hpp"
#include "core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <cblas.h>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

namespace perfpipe {
namespace {

constexpr std::size_t block_voxels = 256;  // a block's curves and residue functions stay in the second-level cache

}  // namespace

DeconvolutionOperator bsvd_operator(std::span<const float> aif, double dt, double threshold) {
  const auto n = static_cast<std::int64_t>(aif.size()), length = 2 * n;
  // Plain Fourier sums: 2N is some hundred, and this is done once per patient.
  const auto root = [&](std::int64_t i) {
    return std::polar(1.0, 2.0 * std::numbers::pi * static_cast<double>(i % length) / static_cast<double>(length));
  };
  std::vector<std::complex<double>> spectrum(static_cast<std::size_t>(length));
  double largest = 0.0;
  for (std::int64_t f = 0; f < length; ++f) {
    auto& a = spectrum[static_cast<std::size_t>(f)];
    for (std::int64_t t = 0; t < n; ++t)
      a += static_cast<double>(aif[static_cast<std::size_t>(t)]) * std::conj(root(f * t));
    largest = std::max(largest, std::abs(a));
  }
  if (!(largest > 0.0) || !std::isfinite(largest))
    throw InputError("the arterial input function is zero or not finite everywhere: nothing can be deconvolved by it");
  std::vector<double> inverse(static_cast<std::size_t>(length), 0.0);
  for (std::int64_t t = 0; t < length; ++t) {
    std::complex<double> sum = 0.0;
    for (std::int64_t f = 0; f < length; ++f) {
      const auto a = spectrum[static_cast<std::size_t>(f)];
      if (std::abs(a) >= threshold * largest) sum += root(f * t) / (dt * a);
    }
    inverse[static_cast<std::size_t>(t)] = sum.real() / static_cast<double>(length);
    if (std::abs(inverse[static_cast<std::size_t>(t)]) > std::numeric_limits<float>::max())
      throw InputError("the arterial input function is too small to be deconvolved by: check its unit");
  }
  DeconvolutionOperator op{n, length, dt, std::vector<float>(static_cast<std::size_t>(length * n))};
  for (std::int64_t i = 0; i < length; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      op.matrix[static_cast<std::size_t>(i * n + j)] =
          static_cast<float>(inverse[static_cast<std::size_t>((i - j + length) % length)]);
  return op;
}

VoxelParameters residue_parameters(std::span<const float> residue, std::int64_t samples, double dt,
                                   const ParameterScale& scale) {
  VoxelParameters result;
  const auto length = static_cast<std::int64_t>(residue.size());
  const auto peak = std::max_element(residue.begin(), residue.end());
  const double maximum = *peak;
  double sum = 0.0;
  for (float k : residue) sum += k;
  if (!(maximum > 0.0) || !std::isfinite(sum)) return result;
  const double ratio = scale.hematocrit_factor / scale.density;
  const std::array<double, 3> exact{6000.0 * ratio * maximum, 100.0 * ratio * dt * sum, dt * sum / maximum};
  for (double x : exact)
    if (std::abs(x) > std::numeric_limits<float>::max()) return result;
  result.value[index(Parameter::cbf)] = static_cast<float>(exact[0]);
  result.value[index(Parameter::cbv)] = static_cast<float>(exact[1]);
  result.value[index(Parameter::mtt)] = static_cast<float>(exact[2]);
  const auto i = static_cast<std::int64_t>(peak - residue.begin());
  result.negative_delay = i >= samples;
  if (result.negative_delay) return result;
  double place = static_cast<double>(i);
  if (scale.subsample_tmax) {
    const double before = residue[static_cast<std::size_t>((i + length - 1) % length)],
                 after = residue[static_cast<std::size_t>((i + 1) % length)];
    const double curvature = before - 2.0 * maximum + after;
    if (curvature < 0.0) place = std::max(0.0, place + (before - after) / (2.0 * curvature));
  }
  result.value[index(Parameter::tmax)] = static_cast<float>(dt * place);
  return result;
}

std::int64_t deconvolve(const DeconvolutionOperator& op, std::span<const float> curves, const ParameterScale& scale,
                        int threads, const std::array<std::span<float>, 4>& maps) {
  const auto n = static_cast<std::size_t>(op.samples), length = static_cast<std::size_t>(op.length);
  std::atomic<std::int64_t> negative{0};
  parallel_blocks(curves.size() / n, block_voxels, threads, [&](std::size_t begin, std::size_t end) {
    // Always the same shape: BLAS may sum in another order for another one.
    std::vector<float> padded;
    const float* in = curves.data() + begin * n;
    if (end - begin < block_voxels) {
      padded.assign(block_voxels * n, 0.0f);
      std::copy(in, curves.data() + end * n, padded.begin());
      in = padded.data();
    }
    std::vector<float> residue(block_voxels * length);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(block_voxels), static_cast<int>(length),
                static_cast<int>(n), 1.0f, in, static_cast<int>(n), op.matrix.data(), static_cast<int>(n), 0.0f,
                residue.data(), static_cast<int>(length));
    for (std::size_t v = begin; v < end; ++v) {
      const auto parameters =
          residue_parameters({residue.data() + (v - begin) * length, length}, op.samples, op.dt, scale);
      for (std::size_t p = 0; p < maps.size(); ++p) maps[p][v] = parameters.value[p];
      negative += parameters.negative_delay;
    }
  });
  return negative;
}

}  // namespace perfpipe
