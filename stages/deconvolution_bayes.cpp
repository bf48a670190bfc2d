#include "stages/deconvolution_bayes.hpp"

#include "stages/column_product.hpp"
#include "stages/gaussian_model.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {

constexpr std::size_t bayes_lanes = 64;     // voxels whose coefficients under all hypotheses are held at once
constexpr double negligible_weight = 1e-7;  // of a hypothesis
constexpr double normal_97_5 = 1.959963984540054;
constexpr std::size_t strengths = bayes_strengths.size();

/// What is averaged over hypotheses, for one voxel.
struct BayesianDeconvolution::Posterior {
  double flow = 0.0, flow_squared = 0.0;  // max k, 1/s
  double area = 0.0, area_squared = 0.0;  // Δt Σk
  double ratio = 0.0, ratio_squared = 0.0, ratio_weight = 0.0;
  double peak = 0.0;                 // delay + argmax, samples
  std::vector<double> peak_weights;  // by sample, from the earliest delay on
};

std::vector<ExtraMap> BayesianDeconvolution::extra_maps() {
  std::vector<ExtraMap> maps;
  for (Parameter p : all_parameters)
    for (const char* end : {"low", "high"})
      maps.push_back({std::string(name(p)) + "_" + end, std::string(facts(p).units),
                      std::string(end == std::string("low") ? "lower" : "upper") +
                          " end of the 95 % credible interval of " + std::string(facts(p).label)});
  return maps;
}

BayesianDeconvolution::Hypothesis BayesianDeconvolution::hypothesis(std::span<const float> aif, double dt,
                                                                    std::int64_t lag, double scale) {
  auto model = gaussian_model(
      aif, dt, lag, [&](double s, double t) { return std::exp(-(s + t) / scale) * matern(std::abs(s - t), scale); });
  auto weights = noise_weights(model, bayes_strengths);
  const auto n = static_cast<std::size_t>(model.samples);
  Hypothesis h{
      lag, std::move(model.vectors), std::move(weights.inverse), std::move(weights.log_determinant), {}, {}, {}, {}};
  for (double x : model.back) h.back.push_back(checked_float(x));
  std::vector<double> column(n, 0.0);  // Σ_t back[t, i]
  for (std::size_t t = 0; t < n; ++t)
    for (std::size_t i = 0; i < n; ++i) column[i] += model.back[t * n + i];
  for (std::size_t g = 0; g < strengths; ++g) {
    // Posterior covariance of k: σ² (g K/e - Σ_i back_i back_iᵀ g² / (1 + g e_i)).
    const double strength = bayes_strengths[g];
    double area = 0.0;
    for (std::size_t t = 0; t < n; ++t) {
      double own = strength * model.covariance[t * n + t], with_area = 0.0;
      for (std::size_t s = 0; s < n; ++s) with_area += strength * model.covariance[t * n + s];
      for (std::size_t i = 0; i < n; ++i) {
        const double b = model.back[t * n + i] * strength * strength * h.inverse[g * n + i];
        own -= b * model.back[t * n + i];
        with_area -= b * column[i];
      }
      h.variance.push_back(checked_float(std::max(0.0, own)));
      h.covariance.push_back(checked_float(dt * with_area));
      area += dt * dt * with_area;
    }
    h.area_variance.push_back(std::max(0.0, area));
  }
  return h;
}

BayesianDeconvolution::BayesianDeconvolution(std::span<const float> aif, double dt, double delay_low, double delay_high)
    : Deconvolution(static_cast<std::int64_t>(aif.size()), 2 * static_cast<std::int64_t>(aif.size()), dt) {
  const std::int64_t n = samples();
  const auto low = std::max(-n / 2, static_cast<std::int64_t>(std::ceil(delay_low / dt - 1e-9)));
  const auto high = std::min(n / 2, static_cast<std::int64_t>(std::floor(delay_high / dt + 1e-9)));
  for (std::int64_t lag = low; lag <= high; ++lag)
    for (const double scale : bayes_scales) hypotheses_.push_back(hypothesis(aif, dt, lag, scale));
}

void BayesianDeconvolution::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  for (std::size_t first = 0; first < deconvolution_block; first += bayes_lanes)
    solve_group(curves, first, scale, block);
}

void BayesianDeconvolution::solve_group(const float* curves, std::size_t first, const ParameterScale& scale,
                                        DeconvolvedBlock& block) const {
  constexpr std::size_t voxels = bayes_lanes;
  const auto n = static_cast<std::size_t>(samples()), length = static_cast<std::size_t>(this->length());
  std::vector<double> wide(n * voxels);
  for (std::size_t t = 0; t < n; ++t) std::copy_n(curves + t * deconvolution_block + first, voxels, &wide[t * voxels]);

  // First all evidences, of which the largest scales the weights.
  std::vector<std::vector<float>> coefficients;
  std::vector<double> squares(n * voxels), quadratic(hypotheses_.size() * strengths * voxels), c(n * voxels);
  std::vector<double> weights(quadratic.size()), best(voxels, -INFINITY), total(voxels, 0.0);
  for (std::size_t h = 0; h < hypotheses_.size(); ++h) {
    multiply_columns(hypotheses_[h].vectors.data(), n, n, wide.data(), voxels, c.data());
    for (std::size_t i = 0; i < c.size(); ++i) squares[i] = c[i] * c[i];
    double* const q = quadratic.data() + h * strengths * voxels;
    multiply_columns(hypotheses_[h].inverse.data(), strengths, n, squares.data(), voxels, q);
    for (std::size_t g = 0; g < strengths; ++g)
      for (std::size_t v = 0; v < voxels; ++v) {
        const double evidence = log_evidence(q[g * voxels + v], hypotheses_[h].log_determinant[g], samples());
        weights[(h * strengths + g) * voxels + v] = evidence;
        best[v] = std::max(best[v], evidence);
      }
    coefficients.emplace_back(c.begin(), c.end());
  }
  for (std::size_t w = 0; w < weights.size(); ++w) {
    weights[w] = std::exp(weights[w] - best[w % voxels]);
    total[w % voxels] += weights[w];
  }

  std::vector<float> weighted(n * voxels), k(n * voxels), residues(length * voxels, 0.0f);
  std::vector<double> gain(n * voxels), share(voxels);
  const std::int64_t earliest = hypotheses_.front().lag;
  std::vector<Posterior> posterior(voxels);
  for (auto& p : posterior) p.peak_weights.assign(length, 0.0);
  for (std::size_t h = 0; h < hypotheses_.size(); ++h) {
    const Hypothesis& hypothesis = hypotheses_[h];
    std::fill(share.begin(), share.end(), 0.0);
    for (std::size_t g = 0; g < strengths; ++g)
      for (std::size_t v = 0; v < voxels; ++v) {
        double& w = weights[(h * strengths + g) * voxels + v];
        w /= total[v];
        share[v] += w;
      }
    if (*std::max_element(share.begin(), share.end()) < negligible_weight) continue;
    // Mean over strengths of g/(1 + g e_i), then one product for the posterior mean of k under this delay and scale.
    std::fill(gain.begin(), gain.end(), 0.0);
    for (std::size_t g = 0; g < strengths; ++g)
      for (std::size_t i = 0; i < n; ++i) {
        const double weight = bayes_strengths[g] * hypothesis.inverse[g * n + i];
        for (std::size_t v = 0; v < voxels; ++v)
          gain[i * voxels + v] += weight * weights[(h * strengths + g) * voxels + v];
      }
    // Unlikely hypotheses would leave products below the smallest normal float, which take many times as long.
    constexpr double least = 1e-15;  // 1/s, beside some 1e-2
    for (std::size_t i = 0; i < gain.size(); ++i) {
      const double product = gain[i] * static_cast<double>(coefficients[h][i]);
      weighted[i] = std::abs(product) < least ? 0.0f : saturated_float(product);
    }
    multiply_columns(hypothesis.back.data(), n, n, weighted.data(), voxels, k.data());
    for (std::size_t t = 0; t < n; ++t) {
      const auto place = (static_cast<std::int64_t>(t + length) + hypothesis.lag) % static_cast<std::int64_t>(length);
      float* const row = residues.data() + static_cast<std::size_t>(place) * voxels;
      for (std::size_t v = 0; v < voxels; ++v) row[v] += k[t * voxels + v];
    }
    for (std::size_t v = 0; v < voxels; ++v) {
      if (share[v] < negligible_weight) continue;
      // k holds the mean times the hypothesis' share.
      std::size_t peak = 0;
      double area = 0.0;
      for (std::size_t t = 0; t < n; ++t) {
        area += k[t * voxels + v];
        if (k[t * voxels + v] > k[peak * voxels + v]) peak = t;
      }
      area *= dt() / share[v];
      const double flow = std::max(0.0, static_cast<double>(k[peak * voxels + v]) / share[v]);
      double flow_variance = 0.0, area_variance = 0.0, covariance = 0.0;
      for (std::size_t g = 0; g < strengths; ++g) {
        const double noise = weights[(h * strengths + g) * voxels + v] / share[v] *
                             quadratic[(h * strengths + g) * voxels + v] / static_cast<double>(n);
        flow_variance += noise * hypothesis.variance[g * n + peak];
        area_variance += noise * hypothesis.area_variance[g];
        covariance += noise * hypothesis.covariance[g * n + peak];
      }
      Posterior& p = posterior[v];
      p.flow += share[v] * flow;
      p.flow_squared += share[v] * (flow * flow + flow_variance);
      p.area += share[v] * area;
      p.area_squared += share[v] * (area * area + area_variance);
      const auto sample = static_cast<std::int64_t>(peak) + hypothesis.lag;
      p.peak += share[v] * static_cast<double>(sample);
      p.peak_weights[static_cast<std::size_t>(sample - earliest)] += share[v];
      if (!(flow > 0.0)) continue;
      const double ratio = area / flow;  // and its variance to first order
      const double ratio_variance =
          (area_variance - 2.0 * ratio * covariance + ratio * ratio * flow_variance) / (flow * flow);
      p.ratio_weight += share[v];
      p.ratio += share[v] * ratio;
      p.ratio_squared += share[v] * (ratio * ratio + std::max(0.0, ratio_variance));
    }
  }

  for (std::size_t t = 0; t < length; ++t)
    std::copy_n(residues.data() + t * voxels, voxels, block.residues.data() + t * deconvolution_block + first);
  for (std::size_t v = 0; v < voxels; ++v) finish(posterior[v], scale, first + v, block);
}

void BayesianDeconvolution::finish(const Posterior& p, const ParameterScale& scale, std::size_t voxel,
                                   DeconvolvedBlock& block) const {
  struct Estimate {
    double value = 0.0, low = 0.0, high = 0.0;
  };
  std::array<Estimate, 4> estimates;
  block.negative_delay[voxel] = 0;
  const auto around = [](double centre, double mean, double mean_square) {
    const double spread = normal_97_5 * std::sqrt(std::max(0.0, mean_square - mean * mean));
    return Estimate{centre, std::max(0.0, centre - spread), centre + spread};
  };
  if (p.flow > 0.0) {
    const double ratio = visible_mtt(p.area / p.flow, dt() * static_cast<double>(samples()));
    estimates[index(Parameter::cbf)] = around(p.flow, p.flow, p.flow_squared);
    estimates[index(Parameter::cbv)] = around(p.area, p.area, p.area_squared);
    estimates[index(Parameter::mtt)] = around(ratio, p.ratio / p.ratio_weight, p.ratio_squared / p.ratio_weight);
    // Ends of the interval: the samples at which 2.5 and 97.5 % of the weight are passed.
    Estimate& tmax = estimates[index(Parameter::tmax)];
    double passed = 0.0;
    const auto earliest = static_cast<double>(hypotheses_.front().lag);
    bool low_found = false;
    for (std::size_t t = 0; t < p.peak_weights.size() && passed < 0.975; ++t) {
      passed += p.peak_weights[t];
      tmax.high = std::max(0.0, dt() * (earliest + static_cast<double>(t)));
      if (!low_found && passed >= 0.025) tmax.low = tmax.high;
      low_found = low_found || passed >= 0.025;
    }
    const double peak = scale.subsample_tmax ? p.peak : std::round(p.peak);
    block.negative_delay[voxel] = peak < 0.0;
    tmax.value = dt() * std::max(0.0, peak);
  }
  for (auto q : {Parameter::cbf, Parameter::cbv}) {
    Estimate& e = estimates[index(q)];
    const double factor = q == Parameter::cbf ? scale.flow() : scale.volume();
    e = {factor * e.value, factor * e.low, factor * e.high};
  }
  bool usable = true;
  for (const auto& e : estimates)
    for (double x : {e.value, e.low, e.high}) usable = usable && std::isfinite(saturated_float(x));
  for (std::size_t q = 0; q < 4; ++q) {
    const Estimate e = usable ? estimates[q] : Estimate{};
    block.parameters[q][voxel] = static_cast<float>(e.value);
    if (block.extras.empty()) continue;
    block.extras[2 * q][voxel] = static_cast<float>(e.low);
    block.extras[2 * q + 1][voxel] = static_cast<float>(e.high);
  }
  if (!usable) block.negative_delay[voxel] = 0;
}

}  // namespace perfpipe
