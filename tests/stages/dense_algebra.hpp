// Dense linear algebra in double, slow and plain: the oracles of what stages/ does by Fourier sums, LAPACK and float
// products.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace perfpipe::oracle {

using Matrix = std::vector<double>;  // row-major

inline Matrix multiply(const Matrix& a, const Matrix& b, std::size_t rows, std::size_t inner, std::size_t columns) {
  Matrix c(rows * columns, 0.0);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < inner; ++j)
      for (std::size_t k = 0; k < columns; ++k) c[i * columns + k] += a[i * inner + j] * b[j * columns + k];
  return c;
}

inline Matrix transpose(const Matrix& a, std::size_t rows, std::size_t columns) {
  Matrix t(a.size());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) t[j * rows + i] = a[i * columns + j];
  return t;
}

inline double squared_norm(const std::vector<double>& x) {
  double sum = 0.0;
  for (double value : x) sum += value * value;
  return sum;
}

/// Singular value decomposition of an n×n matrix by one-sided Jacobi rotations (Hestenes 1958): they make the columns
/// of A V orthogonal, and the norms of these are the singular values.
class Svd {
 public:
  Svd(Matrix matrix, std::size_t size) : n(size), scaled(std::move(matrix)), v(size * size, 0.0), values(size) {
    for (std::size_t i = 0; i < n; ++i) v[i * n + i] = 1.0;
    for (bool rotated = true; rotated;) {
      rotated = false;
      for (std::size_t p = 0; p + 1 < n; ++p)
        for (std::size_t q = p + 1; q < n; ++q) rotated = rotate_pair(p, q) || rotated;
    }
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t i = 0; i < n; ++i) values[j] += scaled[i * n + j] * scaled[i * n + j];
      values[j] = std::sqrt(values[j]);
      largest = std::max(largest, values[j]);
    }
  }

  /// A⁺ b without the singular values below `cut`. `nearest` becomes the distance of the value closest to the cut, as a
  /// share of it.
  std::vector<double> solve(const std::vector<double>& b, double cut, double& nearest) const {
    nearest = 1.0;
    std::vector<double> x(n, 0.0);
    for (std::size_t j = 0; j < n; ++j) {
      nearest = std::min(nearest, std::abs(values[j] / cut - 1.0));
      if (values[j] < cut) continue;
      double projection = 0.0;
      for (std::size_t i = 0; i < n; ++i) projection += scaled[i * n + j] * b[i];
      for (std::size_t i = 0; i < n; ++i) x[i] += v[i * n + j] * projection / (values[j] * values[j]);
    }
    return x;
  }

  const std::size_t n;
  Matrix scaled;  // A V
  Matrix v;
  std::vector<double> values;  // in no order
  double largest = 0.0;

 private:
  bool rotate_pair(std::size_t p, std::size_t q) {
    double pp = 0.0, qq = 0.0, pq = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      pp += scaled[i * n + p] * scaled[i * n + p];
      qq += scaled[i * n + q] * scaled[i * n + q];
      pq += scaled[i * n + p] * scaled[i * n + q];
    }
    if (std::abs(pq) <= 1e-14 * std::sqrt(pp * qq)) return false;
    const double zeta = (qq - pp) / (2.0 * pq);
    const double t = (zeta >= 0.0 ? 1.0 : -1.0) / (std::abs(zeta) + std::sqrt(1.0 + zeta * zeta));
    const double c = 1.0 / std::sqrt(1.0 + t * t), s = c * t;
    for (Matrix* m : {&scaled, &v})
      for (std::size_t i = 0; i < n; ++i) {
        const double x = (*m)[i * n + p], y = (*m)[i * n + q];
        (*m)[i * n + p] = c * x - s * y;
        (*m)[i * n + q] = s * x + c * y;
      }
    return true;
  }
};

/// S = L Lᵀ of a symmetric positive definite matrix.
class Cholesky {
 public:
  Cholesky(Matrix s, std::size_t size) : n(size), l(std::move(s)) {
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = j; i < n; ++i) {
        double sum = l[i * n + j];
        for (std::size_t k = 0; k < j; ++k) sum -= l[i * n + k] * l[j * n + k];
        l[i * n + j] = i == j ? std::sqrt(sum) : sum / l[j * n + j];
      }
  }
  std::vector<double> solve(std::vector<double> b) const {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < i; ++k) b[i] -= l[i * n + k] * b[k];
      b[i] /= l[i * n + i];
    }
    for (std::size_t i = n; i-- > 0;) {
      for (std::size_t k = i + 1; k < n; ++k) b[i] -= l[k * n + i] * b[k];
      b[i] /= l[i * n + i];
    }
    return b;
  }
  double log_determinant() const {
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += 2.0 * std::log(l[i * n + i]);
    return sum;
  }

 private:
  const std::size_t n;
  Matrix l;
};

}  // namespace perfpipe::oracle
