#include "stages/deconvolution_gp.hpp"

#include "core/simd.hpp"
#include "stages/column_product.hpp"
#include "stages/gaussian_model.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {

GaussianProcess::GaussianProcess(std::span<const float> aif, double dt)
    : Deconvolution(static_cast<std::int64_t>(aif.size()), static_cast<std::int64_t>(aif.size()), dt) {
  for (const double scale : gp_scales) {
    auto model = gaussian_model(aif, dt, 0, [&](double s, double t) { return matern(std::abs(s - t), scale); });
    auto weights = noise_weights(model, gp_strengths);
    Scale& entry = scales_.emplace_back();
    entry.vectors = std::move(model.vectors);
    entry.inverse = std::move(weights.inverse);
    for (double x : weights.log_determinant) entry.penalty.push_back(std::exp(x / static_cast<double>(samples())));
    for (double x : model.back) entry.back.push_back(checked_float(x));
  }
}

void GaussianProcess::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  constexpr std::size_t voxels = deconvolution_block, strengths = gp_strengths.size();
  const auto n = static_cast<std::size_t>(samples());
  const std::vector<double> wide(curves, curves + voxels * n);
  std::vector<std::vector<double>> coefficients(scales_.size(), std::vector<double>(n * voxels));
  std::vector<double> squares(n * voxels), quadratic(strengths * voxels), best(voxels, INFINITY);
  std::vector<std::uint32_t> chosen(voxels, 0);  // scale · strengths + strength
  for (std::size_t s = 0; s < scales_.size(); ++s) {
    auto& c = coefficients[s];
    multiply_columns(scales_[s].vectors.data(), n, n, wide.data(), voxels, c.data());
    for (std::size_t i = 0; i < c.size(); ++i) squares[i] = c[i] * c[i];
    multiply_columns(scales_[s].inverse.data(), strengths, n, squares.data(), voxels, quadratic.data());
    for (std::size_t g = 0; g < strengths; ++g)
      for (std::size_t v = 0; v < voxels; ++v) {
        const double unlikely = quadratic[g * voxels + v] * scales_[s].penalty[g];
        const bool better = unlikely < best[v];
        best[v] = better ? unlikely : best[v];
        chosen[v] = better ? static_cast<std::uint32_t>(s * strengths + g) : chosen[v];
      }
  }
  // The voxels of each scale side by side: one product for every voxel, not one for every scale.
  std::vector<float> weighted(n * voxels), residues(n * voxels);
  for (std::size_t s = 0; s < scales_.size(); ++s) {
    std::vector<std::size_t> here;
    for (std::size_t v = 0; v < voxels; ++v)
      if (chosen[v] / strengths == s) here.push_back(v);
    const std::size_t columns = (here.size() + simd::lanes - 1) / simd::lanes * simd::lanes;
    std::fill_n(weighted.begin(), n * columns, 0.0f);
    for (std::size_t i = 0; i < n; ++i) {
      std::array<double, strengths> gains;
      for (std::size_t g = 0; g < strengths; ++g) gains[g] = gp_strengths[g] * scales_[s].inverse[g * n + i];
      for (std::size_t c = 0; c < here.size(); ++c)
        weighted[i * columns + c] =
            saturated_float(gains[chosen[here[c]] % strengths] * coefficients[s][i * voxels + here[c]]);
    }
    multiply_columns(scales_[s].back.data(), n, n, weighted.data(), columns, residues.data());
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t c = 0; c < here.size(); ++c) block.residues[i * voxels + here[c]] = residues[i * columns + c];
  }
  if (!block.extras.empty())
    for (std::size_t v = 0; v < voxels; ++v) block.extras[0][v] = static_cast<float>(gp_scales[chosen[v] / strengths]);
  residue_parameters(*this, scale, block);
}

}  // namespace perfpipe
