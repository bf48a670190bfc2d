// Nearest neighbours among curves: the simplest predictor that looks at the data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// Curves with known targets, prepared for searches.
class NearestCurves {
 public:
  /// `curves` [n, samples], one after the other, and their `targets` [n], n > 0. Throws std::invalid_argument where the
  /// sizes do not fit.
  NearestCurves(std::vector<float> curves, std::vector<float> targets, std::int64_t samples);

  /// For each of `queries` [m, samples] the target of the curve with the least Euclidean distance, the first of equals;
  /// curves and queries in one unit. One matrix product on the calling thread, |c|² - 2 c·q, so that distances have
  /// float32's rounding: of two curves that are equally near to that, either may be taken. A query's answer does not
  /// depend on the others.
  std::vector<float> nearest_targets(std::span<const float> queries) const;

 private:
  std::int64_t samples_;
  std::vector<float> factors_;  ///< -2 c
  std::vector<float> targets_, squares_;
};

}  // namespace perfpipe
