#include "stages/deconvolution_linear.hpp"

#include "stages/column_product.hpp"

#include <algorithm>

namespace perfpipe {
LinearDeconvolution::LinearDeconvolution(const SingularSystem& system, std::span<const double> gains)
    : Deconvolution(system.samples, system.length, system.dt) {
  const auto n = static_cast<std::size_t>(system.samples), length = static_cast<std::size_t>(system.length);
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < gains.size(); ++i)
    if (gains[i] != 0.0) kept.push_back(i);
  rank_ = static_cast<std::int64_t>(kept.size());
  if (kept.size() * (n + length) < n * length) {
    for (const auto i : kept)
      for (std::size_t t = 0; t < n; ++t) first_.push_back(static_cast<float>(system.left[i * n + t]));
    for (std::size_t t = 0; t < length; ++t)
      for (const auto i : kept) second_.push_back(checked_float(gains[i] * system.right[i * length + t]));
    return;
  }
  std::vector<double> matrix(length * n, 0.0);
  for (const auto i : kept)
    for (std::size_t t = 0; t < length; ++t) {
      const double weight = gains[i] * system.right[i * length + t];
      for (std::size_t s = 0; s < n; ++s) matrix[t * n + s] += weight * system.left[i * n + s];
    }
  for (double x : matrix) first_.push_back(checked_float(x));
}

void LinearDeconvolution::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  constexpr std::size_t voxels = deconvolution_block;
  const auto n = static_cast<std::size_t>(samples()), length = static_cast<std::size_t>(this->length()),
             rank = static_cast<std::size_t>(rank_);
  if (second_.empty()) {
    multiply_columns(first_.data(), length, n, curves, voxels, block.residues.data());
  } else {
    std::vector<float> coefficients(rank * voxels);
    multiply_columns(first_.data(), rank, n, curves, voxels, coefficients.data());
    multiply_columns(second_.data(), length, rank, coefficients.data(), voxels, block.residues.data());
  }
  residue_parameters(*this, scale, block);
}

gpu::LinearOperator LinearDeconvolution::for_gpu(const ParameterScale& scale) const {
  gpu::LinearOperator op;
  op.samples = static_cast<int>(samples());
  op.length = static_cast<int>(length());
  op.first = first_.data();
  if (!second_.empty()) {
    op.rank = static_cast<int>(rank_);
    op.second = second_.data();
  }
  op.dt = dt();
  op.flow = scale.flow();
  op.volume = scale.volume() * dt();
  op.subsample_tmax = scale.subsample_tmax;
  return op;
}

std::vector<double> truncated_gains(const SingularSystem& system, double threshold) {
  const double cut = threshold * system.values.front() * (1.0 - 1e-12);
  std::vector<double> gains;
  for (double value : system.values) gains.push_back(value >= cut && value > 0.0 ? 1.0 / value : 0.0);
  return gains;
}

std::vector<double> tikhonov_gains(const SingularSystem& system, double mu) {
  std::vector<double> gains;
  for (double value : system.values) gains.push_back(value / (value * value + mu * mu));
  return gains;
}

LinearDeconvolution bsvd(std::span<const float> aif, double dt, double threshold) {
  const auto system = circulant_system(aif, dt, 2 * static_cast<std::int64_t>(aif.size()));
  return {system, truncated_gains(system, threshold)};
}

LinearDeconvolution ssvd(std::span<const float> aif, double dt, double threshold) {
  const auto system = toeplitz_system(aif, dt);
  return {system, truncated_gains(system, threshold)};
}

std::vector<float> smoothed(std::span<const float> aif) {
  std::vector<float> result;
  for (std::size_t i = 0; i < aif.size(); ++i) {
    const float before = aif[i > 0 ? i - 1 : 0], after = aif[std::min(i + 1, aif.size() - 1)];
    result.push_back((before + 4.0f * aif[i] + after) / 6.0f);
  }
  return result;
}

}  // namespace perfpipe
