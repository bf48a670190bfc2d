// Factorisations of small dense matrices in double, by LAPACK.
#pragma once

#include <cstdint>
#include <vector>

namespace perfpipe {

/// A = Σ values[i] · left[i] rightᵀ[i], values from the largest down.
struct SingularValues {
  std::vector<double> values;  ///< [n]
  std::vector<double> left;    ///< [n, n], one vector a row
  std::vector<double> right;   ///< [n, n], one vector a row
};

/// Of the n×n matrix `a`, row-major (dgesdd). Throws InputError if it holds what is not finite.
SingularValues singular_values(std::vector<double> a, std::int64_t n);

/// S = Σ values[i] · vectors[i] vectorsᵀ[i] of a symmetric n×n matrix, values from the smallest up (dsyevd).
struct Eigenvalues {
  std::vector<double> values;   ///< [n]
  std::vector<double> vectors;  ///< [n, n], one vector a row
};
Eigenvalues eigenvalues(std::vector<double> symmetric, std::int64_t n);

/// C = A · B, row-major: A [rows, inner], B [inner, columns].
std::vector<double> product(const std::vector<double>& a, const std::vector<double>& b, std::int64_t rows,
                            std::int64_t inner, std::int64_t columns);

/// Aᵀ of A [rows, columns], row-major.
std::vector<double> transposed(const std::vector<double>& a, std::int64_t rows, std::int64_t columns);

}  // namespace perfpipe
