#include "stages/dense_algebra.hpp"

#include "core/error.hpp"

#include <cblas.h>
#include <cmath>

extern "C" {
// LAPACK's Fortran interface; OpenBLAS brings it, Debian's headers for it do not.
void dgesdd_(const char* job, const int* m, const int* n, double* a, const int* lda, double* s, double* u,
             const int* ldu, double* vt, const int* ldvt, double* work, const int* lwork, int* iwork, int* info,
             std::size_t job_length);
void dsyevd_(const char* job, const char* triangle, const int* n, double* a, const int* lda, double* w, double* work,
             const int* lwork, int* iwork, const int* liwork, int* info, std::size_t job_length,
             std::size_t triangle_length);
}

namespace perfpipe {
namespace {

void require_finite(const std::vector<double>& a) {
  for (double x : a)
    if (!std::isfinite(x))
      throw InputError("the arterial input function is not finite everywhere: nothing can be deconvolved by it");
}

void require_success(int info, const char* routine) {
  if (info != 0)
    throw InputError(std::string("LAPACK's ") + routine + " did not converge: check the arterial input function");
}

}  // namespace

SingularValues singular_values(std::vector<double> a, std::int64_t n) {
  require_finite(a);
  const auto size = static_cast<std::size_t>(n);
  const int order = static_cast<int>(n);
  SingularValues result{std::vector<double>(size), std::vector<double>(size * size), std::vector<double>(size * size)};
  std::vector<int> integers(8 * size);
  int info = 0, lwork = -1;
  double wanted = 0.0;
  // Fortran stores by columns, so it sees Aᵀ = V Σ Uᵀ: its U, column by column, is our right vectors row by row, and
  // its Vᵀ by columns is U by rows, to be transposed.
  std::vector<double> u(size * size);
  dgesdd_("A", &order, &order, a.data(), &order, result.values.data(), result.right.data(), &order, u.data(), &order,
          &wanted, &lwork, integers.data(), &info, 1);
  lwork = static_cast<int>(wanted);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  dgesdd_("A", &order, &order, a.data(), &order, result.values.data(), result.right.data(), &order, u.data(), &order,
          work.data(), &lwork, integers.data(), &info, 1);
  require_success(info, "dgesdd");
  result.left = transposed(u, n, n);
  return result;
}

Eigenvalues eigenvalues(std::vector<double> symmetric, std::int64_t n) {
  require_finite(symmetric);
  const auto size = static_cast<std::size_t>(n);
  const int order = static_cast<int>(n);
  Eigenvalues result{std::vector<double>(size), std::move(symmetric)};
  int info = 0, lwork = -1, liwork = -1, integer = 0;
  double wanted = 0.0;
  dsyevd_("V", "U", &order, result.vectors.data(), &order, result.values.data(), &wanted, &lwork, &integer, &liwork,
          &info, 1, 1);
  lwork = static_cast<int>(wanted);
  liwork = integer;
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> integers(static_cast<std::size_t>(liwork));
  dsyevd_("V", "U", &order, result.vectors.data(), &order, result.values.data(), work.data(), &lwork, integers.data(),
          &liwork, &info, 1, 1);
  require_success(info, "dsyevd");
  return result;
}

std::vector<double> product(const std::vector<double>& a, const std::vector<double>& b, std::int64_t rows,
                            std::int64_t inner, std::int64_t columns) {
  std::vector<double> c(static_cast<std::size_t>(rows * columns));
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(rows), static_cast<int>(columns),
              static_cast<int>(inner), 1.0, a.data(), static_cast<int>(inner), b.data(), static_cast<int>(columns), 0.0,
              c.data(), static_cast<int>(columns));
  return c;
}

std::vector<double> transposed(const std::vector<double>& a, std::int64_t rows, std::int64_t columns) {
  std::vector<double> t(a.size());
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j)
      t[static_cast<std::size_t>(j * rows + i)] = a[static_cast<std::size_t>(i * columns + j)];
  return t;
}

}  // namespace perfpipe
