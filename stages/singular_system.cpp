#include "stages/singular_system.hpp"

#include "core/error.hpp"
#include "stages/dense_algebra.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

namespace perfpipe {
namespace {

void require_something(double largest) {
  if (!(largest > 0.0) || !std::isfinite(largest))
    throw InputError("the arterial input function is zero or not finite everywhere: nothing can be deconvolved by it");
}

}  // namespace

SingularSystem circulant_system(std::span<const float> aif, double dt, std::int64_t length) {
  const auto n = static_cast<std::int64_t>(aif.size());
  const auto angle = [&](std::int64_t i) {
    return 2.0 * std::numbers::pi * static_cast<double>(i % length) / static_cast<double>(length);
  };
  struct Frequency {
    std::int64_t f;
    std::complex<double> a;
  };
  // Plain Fourier sums: 2N is some hundred, and this is done once per patient.
  std::vector<Frequency> spectrum;
  for (std::int64_t f = 0; f <= length / 2; ++f) {
    std::complex<double> a = 0.0;
    for (std::int64_t t = 0; t < n; ++t)
      a += static_cast<double>(aif[static_cast<std::size_t>(t)]) * std::polar(1.0, -angle(f * t));
    spectrum.push_back({f, a});
  }
  std::stable_sort(spectrum.begin(), spectrum.end(),
                   [](const auto& x, const auto& y) { return std::abs(x.a) > std::abs(y.a); });
  require_something(std::abs(spectrum.front().a));

  SingularSystem system{n, length, dt, {}, {}, {}};
  const auto wave = [&](std::vector<double>& rows, std::int64_t samples, const Frequency& q, double phase) {
    const double height = std::sqrt((2 * q.f % length == 0 ? 1.0 : 2.0) / static_cast<double>(length));
    for (std::int64_t t = 0; t < samples; ++t) rows.push_back(height * std::cos(angle(q.f * t) + phase));
  };
  for (const auto& q : spectrum) {
    // A turns a wave of frequency f by the phase of the AIF's coefficient. Its sine is its cosine a quarter later;
    // where they are one (f = 0, and f = L/2) the phase is 0 or π.
    const double turn = std::arg(q.a);
    for (const double phase : {0.0, -0.5 * std::numbers::pi}) {
      if (phase != 0.0 && 2 * q.f % length == 0) continue;
      system.values.push_back(dt * std::abs(q.a));
      wave(system.left, n, q, turn + phase);
      wave(system.right, length, q, phase);
    }
  }
  return system;
}

SingularSystem toeplitz_system(std::span<const float> aif, double dt) {
  const auto n = static_cast<std::int64_t>(aif.size());
  std::vector<double> matrix(static_cast<std::size_t>(n * n), 0.0);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j <= i; ++j)
      matrix[static_cast<std::size_t>(i * n + j)] = dt * static_cast<double>(aif[static_cast<std::size_t>(i - j)]);
  auto svd = singular_values(std::move(matrix), n);
  require_something(svd.values.front());
  return {n, n, dt, std::move(svd.values), std::move(svd.left), std::move(svd.right)};
}

}  // namespace perfpipe
