#include "stages/nearest.hpp"

#include <cblas.h>
#include <stdexcept>

namespace perfpipe {

NearestCurves::NearestCurves(std::vector<float> curves, std::vector<float> targets, std::int64_t samples)
    : samples_(samples), curves_(std::move(curves)), targets_(std::move(targets)) {
  if (samples < 1 || targets_.empty() || curves_.size() != targets_.size() * static_cast<std::size_t>(samples))
    throw std::invalid_argument("NearestCurves: curves and targets do not fit, or there are none");
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    double sum = 0.0;
    for (std::size_t t = 0; t < static_cast<std::size_t>(samples); ++t) {
      const double value = curves_[i * static_cast<std::size_t>(samples) + t];
      sum += value * value;
    }
    squares_.push_back(static_cast<float>(sum));
  }
}

std::vector<float> NearestCurves::nearest_targets(std::span<const float> queries) const {
  if (queries.size() % static_cast<std::size_t>(samples_) != 0)
    throw std::invalid_argument("NearestCurves: queries of another number of samples");
  const auto m = static_cast<int>(queries.size() / static_cast<std::size_t>(samples_));
  const auto n = static_cast<int>(targets_.size()), samples = static_cast<int>(samples_);
  std::vector<float> found(static_cast<std::size_t>(m)), products(static_cast<std::size_t>(m) * targets_.size());
  if (m == 0) return found;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, samples, -2.0f, queries.data(), samples, curves_.data(),
              samples, 0.0f, products.data(), n);
  for (std::size_t q = 0; q < found.size(); ++q) {
    const float* const row = products.data() + q * targets_.size();
    std::size_t best = 0;
    for (std::size_t i = 1; i < targets_.size(); ++i)
      if (squares_[i] + row[i] < squares_[best] + row[best]) best = i;
    found[q] = targets_[best];
  }
  return found;
}

}  // namespace perfpipe
