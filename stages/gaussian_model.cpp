#include "stages/gaussian_model.hpp"

#include "core/error.hpp"
#include "stages/dense_algebra.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace perfpipe {

double matern(double distance, double scale) {
  const double x = std::numbers::sqrt3 * distance / scale;
  return (1.0 + x) * std::exp(-x);
}

GaussianModel gaussian_model(std::span<const float> aif, double dt, std::int64_t lag, const Covariance& covariance) {
  const auto n = static_cast<std::int64_t>(aif.size());
  double peak = 0.0;
  for (float a : aif) peak = std::max(peak, std::abs(static_cast<double>(a)));
  if (!(peak > 0.0) || !std::isfinite(peak))
    throw InputError("the arterial input function is zero or not finite everywhere: nothing can be deconvolved by it");
  // The AIF is divided by its peak, so that squares of small ones stay in range.
  std::vector<double> a(static_cast<std::size_t>(n * n), 0.0), prior(static_cast<std::size_t>(n * n));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      const std::int64_t t = i - j - lag;
      if (t >= 0)
        a[static_cast<std::size_t>(i * n + j)] =
            dt * static_cast<double>(aif[static_cast<std::size_t>(std::min(t, n - 1))]) / peak;
      prior[static_cast<std::size_t>(i * n + j)] = covariance(dt * static_cast<double>(i), dt * static_cast<double>(j));
    }
  const auto seen = product(prior, transposed(a, n, n), n, n, n);  // K Aᵀ
  auto eigen = eigenvalues(product(a, seen, n, n, n), n);
  const double largest = eigen.values.back();
  if (!(largest > 0.0)) throw InputError("the arterial input function is zero where the tissue is: check its times");
  GaussianModel model{n, {}, std::move(eigen.vectors), {}, std::move(prior)};
  for (double value : eigen.values) model.eigenvalues.push_back(std::max(0.0, value / largest));
  model.back = product(seen, transposed(model.vectors, n, n), n, n, n);
  for (double& x : model.back) x /= largest * peak;
  for (double& x : model.covariance) x /= largest * peak * peak;
  return model;
}

double log_evidence(double quadratic, double log_determinant, std::int64_t samples) {
  const double least = std::numeric_limits<double>::min();  // a curve of zeros
  return -0.5 * (static_cast<double>(samples) * std::log(std::max(quadratic, least)) + log_determinant);
}

NoiseWeights noise_weights(const GaussianModel& model, std::span<const double> strengths) {
  NoiseWeights weights;
  for (double g : strengths) {
    double sum = 0.0;
    for (double e : model.eigenvalues) {
      weights.inverse.push_back(1.0 / (1.0 + g * e));
      sum += std::log1p(g * e);
    }
    weights.log_determinant.push_back(sum);
  }
  return weights;
}

}  // namespace perfpipe
