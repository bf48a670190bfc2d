// Deconvolution of tissue curves by the arterial input function: C = Δt · A k, k(t) = CBF · R(t). What all methods
// share: blocks of voxels in, residue functions and parameters out.
#pragma once

#include "core/parameters.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// What turns residue functions into parameters.
struct ParameterScale {
  double hematocrit_factor = 0.73;  ///< kH = (1 - Hct_large) / (1 - Hct_small), CAPLEX Q.PH1.013
  double density = 1.04;            ///< brain tissue, g/ml, Q.PH1.011
  bool subsample_tmax = false;      ///< parabola through the three samples around the maximum

  double flow() const { return 6000.0 * hematocrit_factor / density; }   ///< 1/s -> ml/100g/min
  double volume() const { return 100.0 * hematocrit_factor / density; }  ///< ml/ml -> ml/100g
};

/// Voxels are deconvolved so many at a time: their curves and residue functions stay in the second-level cache.
inline constexpr std::size_t deconvolution_block = 256;

/// What a method finds for a block: value of voxel v at [v] of each array.
struct DeconvolvedBlock {
  std::vector<float> residues;                   ///< k in 1/s, [L, block]: all voxels' first sample, their second, ...
  std::array<std::vector<float>, 4> parameters;  ///< CBF, CBV, MTT, Tmax by parameter index
  std::vector<std::uint8_t> negative_delay;      ///< the tissue is ahead of the artery: Tmax is 0 for that reason
  std::vector<std::vector<float>> extras;        ///< as the method's extra_maps()
};

/// A further map that a method leaves: the truncation that it chose, a delay, the ends of a credible interval.
struct ExtraMap {
  std::string name;
  std::string units;
  std::string long_name;
};

/// A method of deconvolution, set up for one arterial input function. Immutable: threads share it.
class Deconvolution {
 public:
  virtual ~Deconvolution() = default;
  std::int64_t samples() const { return samples_; }  ///< N, of the tissue curve
  /// L, of the residue function: N, or 2N where its second half holds negative times (delay < 0).
  std::int64_t length() const { return length_; }
  double dt() const { return dt_; }  ///< s

  /// `curves` [N, deconvolution_block], finite: all voxels' first sample, their second, ... Fills `block`, whose arrays
  /// have their sizes. A voxel's bits depend on its curve alone, not on its place in the block.
  virtual void solve(const float* curves, const ParameterScale& scale, DeconvolvedBlock& block) const = 0;

 protected:
  Deconvolution(std::int64_t samples, std::int64_t length, double dt) : samples_(samples), length_(length), dt_(dt) {}

 private:
  std::int64_t samples_, length_;
  double dt_;
};

/// An MTT that a curve of this duration can show: within ± the duration. k is signed, and where noise leaves it an area
/// and next to no maximum, their ratio came to -1e13 s in one voxel of the study and made the error of all others.
inline double visible_mtt(double mtt, double duration) { return std::clamp(mtt, -duration, duration); }

/// CBF, CBV, MTT, Tmax of every voxel from the scaled residue functions k [L, voxels]:
/// CBF = 6000 (kH/ρ) max k in ml/100g/min (CAPLEX Q.PH1.003), CBV = 100 (kH/ρ) Δt Σk in ml/100g (Q.PH1.001), MTT = 60
/// CBV/CBF = Δt Σk / max k in s (Q.PH1.006, visible_mtt()), Tmax = Δt argmax k in s, or the vertex of the parabola
/// through the three samples around it. k stays signed (clipping it biases MTT). Where argmax >= `samples` the delay is
/// negative: Tmax 0, and the voxel is marked. Without a positive value, and where a result is beyond a float, all four
/// are 0.
void residue_parameters(std::span<const float> residues, std::size_t voxels, std::int64_t samples, double dt,
                        const ParameterScale& scale, const std::array<std::span<float>, 4>& parameters,
                        std::span<std::uint8_t> negative_delay);

/// The same for a whole block.
void residue_parameters(const Deconvolution& method, const ParameterScale& scale, DeconvolvedBlock& block);

/// A number of a method's operator as float. Throws InputError where it is beyond one: the AIF is too small.
float checked_float(double x);

/// A number of a voxel as float; beyond one it is infinite, and its voxel gets zeros.
inline float saturated_float(double x) {
  constexpr double most = std::numeric_limits<float>::max();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  return x > most ? infinity : x < -most ? -infinity : static_cast<float>(x);
}

/// Where the results of n voxels go.
struct DeconvolutionOutput {
  std::array<std::span<float>, 4> maps;  ///< [n] each, by parameter index
  std::vector<std::span<float>> extras;  ///< [n] each, as the method's extra maps; may be empty
  std::span<float> residues;             ///< [n, L], or empty where nobody wants them
};

/// Deconvolves `curves` [n, N] where `inside` [n] is not 0 (empty: everywhere); elsewhere everything is left as it is.
/// Blocks start anew with each slice of `slice` voxels and hold the voxels inside alone, so that the bits depend
/// neither on how many slices are handed in at once nor on `threads`. Returns the number of negative delays.
std::int64_t deconvolve(const Deconvolution& method, std::span<const float> curves,
                        std::span<const std::uint8_t> inside, std::size_t slice, const ParameterScale& scale,
                        int threads, const DeconvolutionOutput& output);

}  // namespace perfpipe
