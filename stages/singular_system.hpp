// The convolution with an arterial input function as a singular system: what SVD and Tikhonov methods filter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// Δt A = Σ values[i] · left[i] rightᵀ[i], values from the largest down. Data are the N samples of the tissue curve
/// (the zeros that a longer A would see beyond them change nothing), unknowns the L samples of k.
struct SingularSystem {
  std::int64_t samples = 0;    ///< N
  std::int64_t length = 0;     ///< L
  double dt = 1.0;             ///< s
  std::vector<double> values;  ///< [L]
  std::vector<double> left;    ///< [L, N], one vector a row: its first N samples
  std::vector<double> right;   ///< [L, L], one vector a row
  std::size_t size() const { return values.size(); }
};

/// Circulant A (Wu et al., Magn Reson Med 50:164, 2003): A[i, j] = a[(i - j) mod L], the AIF zero-padded from N to L
/// (2N: no wrap-around; N: the end of k wraps around to the start of C). A circulant matrix is normal: its singular
/// values are the magnitudes of the AIF's Fourier coefficients, its vectors sines and cosines; both in closed form.
/// Throws InputError if the AIF is all zero or not finite.
SingularSystem circulant_system(std::span<const float> aif, double dt, std::int64_t length);

/// Lower-triangular Toeplitz A (Ostergaard et al., Magn Reson Med 36:715, 1996), A[i, j] = a[i - j] for i >= j, by
/// LAPACK. Throws InputError likewise.
SingularSystem toeplitz_system(std::span<const float> aif, double dt);

}  // namespace perfpipe
