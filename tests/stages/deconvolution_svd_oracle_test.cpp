// The truncated decompositions against a dense SVD in double.
#include "stages/deconvolution_dsvd.hpp"
#include "stages/deconvolution_linear.hpp"
#include "stages/deconvolution_osvd.hpp"
#include "tests/stages/deconvolution_oracle.hpp"

namespace perfpipe {
namespace {

using namespace oracle;

TEST(DeconvolutionOracle, BsvdIsTheTruncatedSvdOfTheBlockCirculantMatrix) {
  const auto curves = test_curves();
  Random random(1, "aif");
  for (const auto& aif : {arterial_curve(), noisy(arterial_curve(), 0.3, random), noisy(Values(n, 0.0f), 1.0, random)})
    for (const double dt : {1.0, 1.243}) {
      const Svd svd(circulant(aif, dt, 2 * n), 2 * n);
      for (const double threshold : {0.1, 0.25}) {
        const auto found = deconvolved(bsvd(aif, dt, threshold), joined(curves));
        for (std::size_t v = 0; v < curves.size(); ++v) {
          double nearest = 0.0;
          const auto expected = svd.solve(padded(curves[v], 2 * n), threshold * svd.largest, nearest);
          ASSERT_GT(nearest, 1e-9) << "a singular value right at the cut would make this a matter of rounding";
          expect_residue(expected, found, v, "bsvd");
        }
      }
    }
}

TEST(DeconvolutionOracle, SsvdIsTheTruncatedSvdOfTheTriangularMatrix) {
  const auto curves = test_curves();
  const auto aif = arterial_curve();
  const Svd svd(toeplitz(aif, 1.0, n), n);
  for (const double threshold : {0.05, 0.2}) {
    const auto found = deconvolved(ssvd(aif, 1.0, threshold), joined(curves));
    for (std::size_t v = 0; v < curves.size(); ++v) {
      double nearest = 0.0;
      expect_residue(svd.solve(padded(curves[v], n), threshold * svd.largest, nearest), found, v, "ssvd");
      ASSERT_GT(nearest, 1e-9);
    }
  }
}

TEST(DeconvolutionOracle, DsvdIsSsvdOfTheShiftedCurveAtTheLongestLagThatExplainsIt) {
  const auto curves = test_curves();
  const auto aif = arterial_curve();
  const auto found = deconvolved(DelayCorrectedSvd(aif, 1.0, 0.2, -2.0, 4.0), joined(curves), 1);
  std::vector<std::vector<double>> residual(curves.size());
  std::vector<std::vector<std::vector<double>>> k(curves.size());
  for (int lag = -2; lag <= 4; ++lag) {
    const auto late = static_cast<std::size_t>(std::max(lag, 0)), early = static_cast<std::size_t>(std::max(-lag, 0));
    const std::size_t size = n - late;
    const Svd svd(toeplitz(aif, 1.0, size), size);
    for (std::size_t v = 0; v < curves.size(); ++v) {
      std::vector<double> shifted(size, 0.0);
      for (std::size_t t = early; t < size; ++t) shifted[t] = curves[v][t - early + late];
      double nearest = 0.0;
      const auto part = svd.solve(shifted, 0.2 * svd.largest, nearest);
      // The shifted curve minus its projection, and what lies before the lag.
      double rest = oracle::squared_norm(shifted), all = 0.0;
      std::size_t rank = 0;
      for (std::size_t j = 0; j < size; ++j) {
        if (svd.values[j] < 0.2 * svd.largest) continue;
        ++rank;
        double projection = 0.0;
        for (std::size_t i = 0; i < size; ++i) projection += svd.scaled[i * size + j] / svd.values[j] * shifted[i];
        rest -= projection * projection;
      }
      for (std::size_t t = 0; t < late; ++t) rest += static_cast<double>(curves[v][t]) * curves[v][t];
      for (std::size_t t = 0; t < n - early; ++t) all += static_cast<double>(curves[v][t]) * curves[v][t];
      residual[v].push_back(std::max(rest, 1e-6 * all) / static_cast<double>(n - early - rank));
      std::vector<double> ring(2 * n, 0.0);
      for (std::size_t t = 0; t < size; ++t)
        ring[static_cast<std::size_t>(static_cast<int>(t + 2 * n) + lag) % (2 * n)] = part[t];
      k[v].push_back(ring);
    }
  }
  for (std::size_t v = 0; v < curves.size(); ++v) {
    const double limit = dsvd_tolerance * *std::min_element(residual[v].begin(), residual[v].end());
    std::size_t chosen = residual[v].size() - 1;
    while (residual[v][chosen] > limit) --chosen;
    EXPECT_EQ(found.extras[0][v], static_cast<float>(chosen) - 2.0f) << v;
    expect_residue(k[v][chosen], found, v, "dsvd");
  }
}

TEST(DeconvolutionOracle, OsvdTakesTheFirstSmoothEnoughTruncation) {
  const auto curves = test_curves();
  const auto aif = arterial_curve();
  for (const std::size_t length : {2 * n, n}) {
    const Svd svd(circulant(aif, 1.0, length), length);
    const OscillationSvd method(circulant_system(aif, 1.0, static_cast<std::int64_t>(length)), 0.01, 0.035);
    const auto found = deconvolved(method, joined(curves), 1);
    auto levels = svd.values;
    std::sort(levels.begin(), levels.end());
    for (std::size_t v = 0; v < curves.size(); ++v) {
      const auto c = padded(curves[v], length);
      std::vector<double> k;
      double level = 0.0;
      for (const double value : levels) {
        level = value * (1.0 - 1e-9);  // the two equal values of a wave stay together
        double nearest = 0.0;
        if (level < 0.01 * svd.largest) continue;
        k = svd.solve(c, level, nearest);
        double bends = 0.0;
        for (std::size_t j = 2; j < length; ++j) bends += std::abs(k[j] - 2.0 * k[j - 1] + k[j - 2]);
        if (bends / static_cast<double>(length) < 0.035 * *std::max_element(k.begin(), k.end())) break;
      }
      EXPECT_NEAR(found.extras[0][v], level / svd.largest, 1e-5) << "L " << length << ", curve " << v;
      expect_residue(k, found, v, "osvd");
    }
  }
}

}  // namespace
}  // namespace perfpipe
