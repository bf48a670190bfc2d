// The methods with a penalty or a prior against dense computations in double, written from their formulae.
#include "stages/deconvolution_bayes.hpp"
#include "stages/deconvolution_gp.hpp"
#include "stages/deconvolution_linear.hpp"
#include "stages/deconvolution_tikhonov.hpp"
#include "tests/stages/deconvolution_oracle.hpp"

namespace perfpipe {
namespace {

using namespace oracle;

/// k of a weight by the normal equations.
struct Regularised {
  std::vector<double> k;
  double residual = 0.0, norm = 0.0;
};
Regularised regularised(const Matrix& a, const Cholesky& normal, const std::vector<double>& c, std::size_t size) {
  Regularised r;
  r.k = normal.solve(oracle::multiply(oracle::transpose(a, size, size), c, size, size, 1));
  auto rest = oracle::multiply(a, r.k, size, size, 1);
  for (std::size_t i = 0; i < size; ++i) rest[i] -= c[i];
  r.residual = oracle::squared_norm(rest);
  r.norm = oracle::squared_norm(r.k);
  return r;
}
Cholesky normal_equations(const Matrix& a, double mu, std::size_t size) {
  auto normal = oracle::multiply(oracle::transpose(a, size, size), a, size, size, size);
  for (std::size_t i = 0; i < size; ++i) normal[i * size + i] += mu * mu;
  return {normal, size};
}

TEST(DeconvolutionOracle, TikhonovWithAFixedWeightSolvesTheNormalEquations) {
  const auto curves = test_curves();
  const auto aif = arterial_curve();
  for (const std::size_t size : {n, 2 * n}) {
    const auto system = size == n ? toeplitz_system(aif, 1.0) : circulant_system(aif, 1.0, 2 * n);
    const auto a = size == n ? toeplitz(aif, 1.0, n) : circulant(aif, 1.0, size);
    EXPECT_NEAR(system.values.front(), Svd(a, size).largest, 1e-9 * system.values.front());
    const double mu = 0.1 * system.values.front();
    const auto found = deconvolved(LinearDeconvolution(system, tikhonov_gains(system, mu)), joined(curves));
    const auto normal = normal_equations(a, mu, size);
    for (std::size_t v = 0; v < curves.size(); ++v)
      expect_residue(regularised(a, normal, padded(curves[v], size), size).k, found, v, "tikhonov");
  }
}

TEST(DeconvolutionOracle, TheLCurveIsLeftWhereItBendsMost) {
  const auto all = test_curves();
  const std::vector<Values> curves(all.begin(), all.begin() + 8);
  const auto aif = arterial_curve();
  for (const std::size_t size : {n, 2 * n}) {
    const auto system = size == n ? toeplitz_system(aif, 1.0) : circulant_system(aif, 1.0, 2 * n);
    const auto a = size == n ? toeplitz(aif, 1.0, n) : circulant(aif, 1.0, size);
    const auto found = deconvolved(LCurveTikhonov(system), joined(curves), 1);
    std::vector<double> sharpest(curves.size(), 0.0), second(curves.size(), 0.0), weight(curves.size(), l_curve_lowest);
    std::vector<std::vector<double>> k(curves.size());
    for (std::size_t m = 0; m < l_curve_points; ++m) {
      const double mu = std::pow(l_curve_lowest, 1.0 - static_cast<double>(m) / (l_curve_points - 1.0));
      // The curve through three weights close together, by differences.
      constexpr double h = 2e-3;
      const double s = system.values.front();
      const Cholesky below = normal_equations(a, s * mu * std::exp(-h), size), here = normal_equations(a, s * mu, size),
                     above = normal_equations(a, s * mu * std::exp(h), size);
      for (std::size_t v = 0; v < curves.size(); ++v) {
        const auto c = padded(curves[v], size);
        const auto p = regularised(a, below, c, size), q = regularised(a, here, c, size),
                   r = regularised(a, above, c, size);
        const auto difference = [&](double x0, double x1, double x2, double& first, double& twice) {
          const double y0 = 0.5 * std::log(x0), y1 = 0.5 * std::log(x1), y2 = 0.5 * std::log(x2);
          first = (y2 - y0) / (2 * h);
          twice = (y2 - 2 * y1 + y0) / (h * h);
        };
        double x1, x2, y1, y2;
        difference(p.residual, q.residual, r.residual, x1, x2);
        difference(p.norm, q.norm, r.norm, y1, y2);
        const double curvature = (x1 * y2 - x2 * y1) / std::pow(x1 * x1 + y1 * y1, 1.5);
        if (k[v].empty()) k[v] = q.k;  // where it bends nowhere
        if (curvature > sharpest[v]) {
          second[v] = sharpest[v];
          sharpest[v] = curvature;
          weight[v] = mu;
          k[v] = q.k;
        } else {
          second[v] = std::max(second[v], curvature);
        }
      }
    }
    int compared = 0;
    for (std::size_t v = 0; v < curves.size(); ++v) {
      if (second[v] > 0.999 * sharpest[v]) continue;  // differences cannot tell the two apart
      ++compared;
      EXPECT_NEAR(found.extras[0][v], weight[v], 1e-6) << v;
      expect_residue(k[v], found, v, "tikhonov");
    }
    EXPECT_GE(compared, 6);
  }
}

/// One hypothesis of the Gaussian model: evidence, posterior mean of k, noise variance and posterior covariance.
struct Gaussian {
  double evidence = 0.0, noise = 0.0;
  std::vector<double> k;
  Matrix prior_seen;  // (g/e) K Aᵀ
  Cholesky marginal;
};
Gaussian gaussian(const Matrix& a, const Matrix& k, double largest, double g, const std::vector<double>& c) {
  const auto kat = oracle::multiply(k, oracle::transpose(a, n, n), n, n, n);
  auto s = oracle::multiply(a, kat, n, n, n);
  for (double& x : s) x *= g / largest;
  for (std::size_t i = 0; i < n; ++i) s[i * n + i] += 1.0;
  Gaussian result{0.0, 0.0, {}, kat, Cholesky(s, n)};
  for (double& x : result.prior_seen) x *= g / largest;
  const auto solved = result.marginal.solve(c);
  double quadratic = 0.0;
  for (std::size_t i = 0; i < n; ++i) quadratic += c[i] * solved[i];
  result.evidence = -0.5 * n * std::log(quadratic) - 0.5 * result.marginal.log_determinant();
  result.noise = quadratic / n;
  result.k = oracle::multiply(result.prior_seen, solved, n, n, 1);
  return result;
}

double matern_32(double distance, double scale) {
  const double x = std::sqrt(3.0) * distance / scale;
  return (1 + x) * std::exp(-x);
}

TEST(DeconvolutionOracle, TheGaussianProcessHasTheMostLikelyHyperParameters) {
  const auto curves = test_curves();
  const auto aif = arterial_curve();
  const auto found = deconvolved(GaussianProcess(aif, 1.0), joined(curves), 1);
  const auto a = toeplitz(aif, 1.0, n);
  std::vector<double> best(curves.size(), -INFINITY), scale(curves.size());
  std::vector<std::vector<double>> k(curves.size());
  for (const double length : gp_scales) {
    Matrix prior(n * n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        prior[i * n + j] = matern_32(std::abs(static_cast<double>(i) - static_cast<double>(j)), length);
    const auto seen = oracle::multiply(oracle::multiply(a, prior, n, n, n), oracle::transpose(a, n, n), n, n, n);
    const double largest = Svd(seen, n).largest;
    for (const double g : gp_strengths)
      for (std::size_t v = 0; v < curves.size(); ++v) {
        const auto result = gaussian(a, prior, largest, g, padded(curves[v], n));
        if (result.evidence <= best[v]) continue;
        best[v] = result.evidence;
        scale[v] = length;
        k[v] = result.k;
      }
  }
  for (std::size_t v = 0; v < curves.size(); ++v) {
    EXPECT_EQ(found.extras[0][v], static_cast<float>(scale[v])) << v;
    expect_residue(k[v], found, v, "gp");
  }
}

TEST(DeconvolutionOracle, BayesIsTheAverageOverDelaysAndPriors) {
  const auto all = test_curves();
  const std::vector<Values> curves{all[0], all[1], all[2], all[13], all[17]};
  const auto aif = arterial_curve();
  const auto found = deconvolved(BayesianDeconvolution(aif, 1.0, -1.0, 4.0), joined(curves), 8, 1, true);
  for (std::size_t v = 0; v < curves.size(); ++v) {
    struct Part {
      double evidence;
      std::size_t pair;
      std::vector<double> k;
      double flow_variance = 0.0, area_variance = 0.0;
    };
    std::vector<Part> parts;
    std::vector<std::vector<double>> covariances;
    std::vector<int> lag_of;
    std::vector<std::vector<Matrix>> posterior;
    const auto c = padded(curves[v], n);
    for (int lag = -1; lag <= 4; ++lag)
      for (const double scale : bayes_scales) {
        lag_of.push_back(lag);
        posterior.emplace_back();
        const auto a = toeplitz(aif, 1.0, n, lag);
        Matrix prior(n * n);
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < n; ++j)
            prior[i * n + j] = std::exp(-static_cast<double>(i + j) / scale) *
                               matern_32(std::abs(static_cast<double>(i) - static_cast<double>(j)), scale);
        const auto seen = oracle::multiply(oracle::multiply(a, prior, n, n, n), oracle::transpose(a, n, n), n, n, n);
        const double largest = Svd(seen, n).largest;
        for (const double g : bayes_strengths) {
          const auto result = gaussian(a, prior, largest, g, c);
          // Posterior covariance σ² (g/e) (K - K Aᵀ S⁻¹ A K g/e).
          Matrix p(n * n);
          for (std::size_t j = 0; j < n; ++j) {
            std::vector<double> column(n);
            for (std::size_t i = 0; i < n; ++i) column[i] = result.prior_seen[j * n + i];
            const auto solved = result.marginal.solve(column);
            for (std::size_t i = 0; i < n; ++i) {
              double sum = g / largest * prior[i * n + j];
              for (std::size_t t = 0; t < n; ++t) sum -= result.prior_seen[i * n + t] * solved[t];
              p[i * n + j] = result.noise * sum;
            }
          }
          parts.push_back({result.evidence, lag_of.size() - 1, result.k});
          posterior.back().push_back(p);
        }
      }
    double best = -INFINITY, total = 0.0;
    for (const auto& part : parts) best = std::max(best, part.evidence);
    for (const auto& part : parts) total += std::exp(part.evidence - best);
    double flow = 0, flow2 = 0, area = 0, area2 = 0, peak = 0;
    std::vector<double> ring(2 * n, 0.0);
    for (std::size_t pair = 0; pair < lag_of.size(); ++pair) {
      double share = 0.0, flow_variance = 0.0, area_variance = 0.0;
      std::vector<double> k(n, 0.0);
      for (const auto& part : parts)
        if (part.pair == pair) {
          const double w = std::exp(part.evidence - best) / total;
          share += w;
          for (std::size_t t = 0; t < n; ++t) k[t] += w * part.k[t];
        }
      if (share < 1e-9) continue;
      for (std::size_t t = 0; t < n; ++t)
        ring[static_cast<std::size_t>(static_cast<int>(t + 2 * n) + lag_of[pair]) % (2 * n)] += k[t];
      const auto top = static_cast<std::size_t>(std::max_element(k.begin(), k.end()) - k.begin());
      double sum = 0.0;
      for (double x : k) sum += x;
      std::size_t g = 0;
      for (const auto& part : parts)
        if (part.pair == pair) {
          const double w = std::exp(part.evidence - best) / total / share;
          const auto& p = posterior[pair][g++];
          flow_variance += w * p[top * n + top];
          for (double x : p) area_variance += w * x;
        }
      const double f = k[top] / share, s = sum / share;
      flow += share * f;
      flow2 += share * (f * f + flow_variance);
      area += share * s;
      area2 += share * (s * s + area_variance);
      peak += share * (static_cast<double>(top) + lag_of[pair]);
    }
    const double ratio = 0.73 / 1.04;
    expect_residue(ring, found, v, "bayes");
    EXPECT_NEAR(found.values[0][v], 6000 * ratio * flow, tolerance * 6000 * ratio * flow);
    EXPECT_NEAR(found.values[1][v], 100 * ratio * area, tolerance * 100 * ratio * area);
    EXPECT_NEAR(found.values[2][v], area / flow, tolerance * area / flow);
    EXPECT_NEAR(found.values[3][v], std::max(0.0, peak), 1e-3);
    const double flow_end = 1.959964 * std::sqrt(std::max(0.0, flow2 - flow * flow)),
                 area_end = 1.959964 * std::sqrt(std::max(0.0, area2 - area * area));
    // Differences of nearly equal squares: some 1e-3 of the half-width.
    EXPECT_NEAR(found.extras[1][v], 6000 * ratio * (flow + flow_end), 2e-3 * 6000 * ratio * (flow + flow_end)) << v;
    EXPECT_NEAR(found.extras[2][v], std::max(0.0, 100 * ratio * (area - area_end)), 2e-3 * 100 * ratio * area) << v;
    EXPECT_NEAR(found.extras[3][v], 100 * ratio * (area + area_end), 2e-3 * 100 * ratio * area) << v;
  }
}

}  // namespace
}  // namespace perfpipe
