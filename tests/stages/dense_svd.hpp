// A dense singular value decomposition, slow and plain: the oracle for what stages/ does by Fourier sums.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace perfpipe {

/// Truncated pseudo-inverse of the n×n matrix `a` (row-major) applied to `b`: singular values below `threshold` of the
/// largest are left out. One-sided Jacobi (Hestenes 1958): rotations make the columns of A V orthogonal; their norms
/// are the singular values. `nearest` becomes the distance of the singular value closest to the cut, as a share of it.
inline std::vector<double> truncated_solve(std::vector<double> a, const std::vector<double>& b, double threshold,
                                           double& nearest) {
  const std::size_t n = b.size();
  std::vector<double> v(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) v[i * n + i] = 1.0;
  for (bool rotated = true; rotated;) {
    rotated = false;
    for (std::size_t p = 0; p + 1 < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        double pp = 0.0, qq = 0.0, pq = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
          pp += a[i * n + p] * a[i * n + p];
          qq += a[i * n + q] * a[i * n + q];
          pq += a[i * n + p] * a[i * n + q];
        }
        if (std::abs(pq) <= 1e-14 * std::sqrt(pp * qq)) continue;
        rotated = true;
        const double zeta = (qq - pp) / (2.0 * pq);
        const double t = (zeta >= 0.0 ? 1.0 : -1.0) / (std::abs(zeta) + std::sqrt(1.0 + zeta * zeta));
        const double c = 1.0 / std::sqrt(1.0 + t * t), s = c * t;
        const auto rotate = [&](std::vector<double>& m) {
          for (std::size_t i = 0; i < n; ++i) {
            const double x = m[i * n + p], y = m[i * n + q];
            m[i * n + p] = c * x - s * y;
            m[i * n + q] = s * x + c * y;
          }
        };
        rotate(a);
        rotate(v);
      }
  }
  std::vector<double> squared(n, 0.0);
  double largest = 0.0;
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = 0; i < n; ++i) squared[j] += a[i * n + j] * a[i * n + j];
    largest = std::max(largest, squared[j]);
  }
  const double cut = threshold * std::sqrt(largest);
  nearest = 1.0;
  std::vector<double> x(n, 0.0);
  for (std::size_t j = 0; j < n; ++j) {
    nearest = std::min(nearest, std::abs(std::sqrt(squared[j]) / cut - 1.0));
    if (std::sqrt(squared[j]) < cut) continue;
    double projection = 0.0;
    for (std::size_t i = 0; i < n; ++i) projection += a[i * n + j] * b[i];
    for (std::size_t i = 0; i < n; ++i) x[i] += v[i * n + j] * projection / squared[j];
  }
  return x;
}

}  // namespace perfpipe
