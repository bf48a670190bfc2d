#include "stages/deconvolution_tikhonov.hpp"

#include "stages/column_product.hpp"
#include "stages/dense_algebra.hpp"

#include <cmath>

namespace perfpipe {

LCurveTikhonov::LCurveTikhonov(const SingularSystem& system)
    : Deconvolution(system.samples, system.length, system.dt),
      left_(system.left),
      right_(transposed(system.right, system.length, system.length)),
      norms_(3 * l_curve_points * system.size()),
      gains_(l_curve_points * system.size()) {
  const double largest = system.values.front();
  checked_float(1.0 / (l_curve_lowest * largest));
  for (std::size_t m = 0; m < l_curve_points; ++m) {
    const double place = static_cast<double>(m) / static_cast<double>(l_curve_points - 1);
    const double mu = l_curve_lowest * std::pow(l_curve_highest / l_curve_lowest, place);
    weight_.push_back(mu);
    for (std::size_t i = 0; i < system.size(); ++i) {
      const double s = system.values[i] / largest, both = s * s + mu * mu;
      const double lost = mu * mu / both, squared_gain = s * s / (both * both);
      norms_[m * system.size() + i] = lost * lost;
      norms_[(l_curve_points + m) * system.size() + i] = squared_gain;
      norms_[(2 * l_curve_points + m) * system.size() + i] = -4.0 / mu * lost * squared_gain;
      gains_[m * system.size() + i] = s / both / largest;
    }
  }
}

void LCurveTikhonov::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  constexpr std::size_t voxels = deconvolution_block, points = l_curve_points;
  const auto n = static_cast<std::size_t>(samples()), length = static_cast<std::size_t>(this->length());
  const std::size_t size = left_.size() / n;
  const std::vector<double> wide(curves, curves + n * voxels);
  std::vector<double> coefficients(size * voxels), squares(size * voxels), norms(3 * points * voxels);
  multiply_columns(left_.data(), size, n, wide.data(), voxels, coefficients.data());
  for (std::size_t i = 0; i < squares.size(); ++i) squares[i] = coefficients[i] * coefficients[i];
  multiply_columns(norms_.data(), 3 * points, size, squares.data(), voxels, norms.data());
  std::vector<double> sharpest(voxels, 0.0);
  std::vector<std::size_t> chosen(voxels, 0);
  for (std::size_t m = 0; m < points; ++m)
    for (std::size_t v = 0; v < voxels; ++v) {
      const double mu = weight_[m], rho = norms[m * voxels + v], eta = norms[(points + m) * voxels + v],
                   slope = norms[(2 * points + m) * voxels + v];
      const double flat = mu * mu / rho, steep = 1.0 / eta, both = flat * flat + steep * steep;
      const double curvature = 2.0 * (2.0 * mu + mu * mu * slope / eta + mu * mu * flat * slope) /
                               (-slope * rho * eta * both * std::sqrt(both));
      const bool sharper = curvature > sharpest[v];
      sharpest[v] = sharper ? curvature : sharpest[v];
      chosen[v] = sharper ? m : chosen[v];
    }
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t v = 0; v < voxels; ++v) coefficients[i * voxels + v] *= gains_[chosen[v] * size + i];
  std::vector<double> residues(length * voxels);
  multiply_columns(right_.data(), length, size, coefficients.data(), voxels, residues.data());
  for (std::size_t i = 0; i < residues.size(); ++i) block.residues[i] = saturated_float(residues[i]);
  if (!block.extras.empty())
    for (std::size_t v = 0; v < voxels; ++v) block.extras[0][v] = static_cast<float>(weight_[chosen[v]]);
  residue_parameters(*this, scale, block);
}

}  // namespace perfpipe
