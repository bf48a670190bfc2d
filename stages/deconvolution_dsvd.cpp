#include "stages/deconvolution_dsvd.hpp"

#include "stages/column_product.hpp"
#include "stages/deconvolution_linear.hpp"
#include "stages/singular_system.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {

DelayCorrectedSvd::DelayCorrectedSvd(std::span<const float> aif, double dt, double threshold, double delay_low,
                                     double delay_high)
    : Deconvolution(static_cast<std::int64_t>(aif.size()), 2 * static_cast<std::int64_t>(aif.size()), dt) {
  const std::int64_t n = samples();
  const auto low = std::max(-n / 2, static_cast<std::int64_t>(std::ceil(delay_low / dt - 1e-9)));
  const auto high = std::min(n / 2, static_cast<std::int64_t>(std::floor(delay_high / dt + 1e-9)));
  SingularSystem system;
  for (std::int64_t lag = low; lag <= high; ++lag) {
    // A positive lag leaves fewer unknowns and the later samples to explain; a negative one the full system, of which
    // the curve's last samples are not known.
    const auto size = static_cast<std::size_t>(n - std::max<std::int64_t>(lag, 0)),
               known = static_cast<std::size_t>(n - std::abs(lag)), first = size - known;
    if (system.samples != static_cast<std::int64_t>(size)) system = toeplitz_system(aif.first(size), dt);
    const auto gains = truncated_gains(system, threshold);
    Lag entry{lag, 0, static_cast<std::int64_t>(size), {}, {}};
    for (std::size_t i = 0; i < gains.size() && gains[i] != 0.0; ++i, ++entry.rank) {
      for (std::size_t t = first; t < size; ++t) entry.project.push_back(static_cast<float>(system.left[i * size + t]));
      for (std::size_t t = 0; t < size; ++t) entry.back.push_back(checked_float(gains[i] * system.right[i * size + t]));
    }
    lags_.push_back(std::move(entry));
  }
}

void DelayCorrectedSvd::solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const {
  const auto n = static_cast<std::size_t>(samples());
  std::vector<std::vector<float>> coefficients;
  std::vector<double> energy(deconvolution_block), variance(deconvolution_block * lags_.size());
  std::vector<double> smallest(deconvolution_block, INFINITY);
  for (std::size_t l = 0; l < lags_.size(); ++l) {
    const Lag& lag = lags_[l];
    const std::size_t shift = static_cast<std::size_t>(std::max<std::int64_t>(lag.lag, 0)),
                      ahead = static_cast<std::size_t>(std::max<std::int64_t>(-lag.lag, 0)),
                      used = static_cast<std::size_t>(lag.samples) - ahead, rank = static_cast<std::size_t>(lag.rank);
    auto& c = coefficients.emplace_back(rank * deconvolution_block);
    multiply_columns(lag.project.data(), rank, used, curves + shift * deconvolution_block, deconvolution_block,
                     c.data());
    for (std::size_t v = 0; v < deconvolution_block; ++v) {
      double all = 0.0, explained = 0.0;
      for (std::size_t t = 0; t < n - ahead; ++t)
        all += static_cast<double>(curves[t * deconvolution_block + v]) * curves[t * deconvolution_block + v];
      for (std::size_t i = 0; i < rank; ++i)
        explained += static_cast<double>(c[i * deconvolution_block + v]) * c[i * deconvolution_block + v];
      // Float products leave some 1e-7 of the energy: residuals below that are all the same.
      const double rest = std::max(all - explained, 1e-6 * all);
      const double freedom = std::max(1.0, static_cast<double>(n - ahead) - static_cast<double>(rank));
      variance[l * deconvolution_block + v] = rest / freedom;
      smallest[v] = std::min(smallest[v], rest / freedom);
    }
  }
  std::fill(block.residues.begin(), block.residues.end(), 0.0f);
  const auto length = this->length();
  for (std::size_t v = 0; v < deconvolution_block; ++v) {
    std::size_t chosen = lags_.size() - 1;
    while (chosen > 0 && !(variance[chosen * deconvolution_block + v] <= dsvd_tolerance * smallest[v])) --chosen;
    const Lag& lag = lags_[chosen];
    if (!block.extras.empty()) block.extras[0][v] = static_cast<float>(dt() * static_cast<double>(lag.lag));
    std::vector<float> k(static_cast<std::size_t>(lag.samples), 0.0f);
    for (std::size_t i = 0; i < static_cast<std::size_t>(lag.rank); ++i) {
      const float weight = coefficients[chosen][i * deconvolution_block + v];
      const float* const vector = lag.back.data() + i * k.size();
      for (std::size_t t = 0; t < k.size(); ++t) k[t] += weight * vector[t];
    }
    for (std::int64_t t = 0; t < lag.samples; ++t)
      block.residues[static_cast<std::size_t>((t + lag.lag + length) % length) * deconvolution_block + v] =
          k[static_cast<std::size_t>(t)];
  }
  residue_parameters(*this, scale, block);
}

}  // namespace perfpipe
