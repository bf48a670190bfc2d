// Indicator-dilution curves of the phantom: the arterial input, residue functions and their exact convolution.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// Shapes of the residue function, all with R(0) = 1 and area MTT; `gamma` has transit times of an Erlang distribution.
enum class Residue : std::uint8_t { exponential, linear, box, gamma };

const char* residue_name(Residue residue);

/// R(t) of a mean transit time `mtt` > 0, both in s; 0 for t < 0.
double residue_function(Residue residue, double mtt, double t);

/// Arterial input ΔR2*(t) in 1/s: a gamma-variate first passage, a wider recirculation and a slow tail.
struct ArterialInput {
  double arrival = 10.0;              ///< s
  double peak = 110.0;                ///< 1/s, of the first passage
  double shape = 3.0;                 ///< α
  double scale = 1.5;                 ///< β, s: the first passage peaks at arrival + α β
  double recirculation = 0.15;        ///< height of the second passage as a share of the first's
  double recirculation_delay = 15.0;  ///< s from the first arrival
  double recirculation_width = 2.0;   ///< β of the second passage as a multiple of the first's
  double tail = 0.04;                 ///< level of the mixed blood as a share of the first peak

  double at(double t) const;
};

/// How one voxel's tissue answers to the arterial input.
struct Kinetics {
  double cbf = 0.0;         ///< ml/100g/min
  double mtt = 4.0;         ///< s, > 0
  double delay = 0.0;       ///< s, >= 0
  double dispersion = 0.0;  ///< s, time constant of an exponential kernel, >= 0; below 0.01 s it counts as none
  Residue residue = Residue::exponential;
};

/// Tmax truth: delay + argmax of the dispersed residue function on a 0.25 s grid; the delay where nothing is dispersed
/// (METHODS section 6).
double time_to_maximum(const Kinetics& kinetics);

/// Convolves one arterial input with the residue functions of many voxels, on a grid of 0.1 s from t = 0.
///
/// With transit times distributed as h, R = 1 - ∫h, and AIF ⊗ R = J - J ⊗ h where J = ∫AIF. For the shapes above J ⊗ h
/// is a shift of J, a difference of its integral, or one to three first-order filters that are exact for a piecewise
/// linear input: linear effort per voxel, and none of the bias of a rectangle rule at TR (up to x/(1-e^-x), x =
/// TR/MTT).
class BolusConvolution {
 public:
  /// `duration` is the last time that will be asked for, in s.
  BolusConvolution(const ArterialInput& input, double duration);

  /// Writes C(t) = (ρ/kH) · CBF/6000 · (AIF ⊗ dispersion ⊗ R)(t - delay) in 1/s at each of `times` (s, 0 to duration).
  /// `tissue_factor` is ρ/kH. Not thread-safe: it keeps one voxel's curve as scratch.
  void tissue(const Kinetics& kinetics, double tissue_factor, std::span<const double> times, std::span<double> curve);

  /// The arterial input after an exponential transit of `transit` s and a pure delay, in 1/s: venous blood.
  void vein(double transit, double delay, std::span<const double> times, std::span<double> curve);

 private:
  void sample_scratch(double delay, double factor, std::span<const double> times, std::span<double> curve) const;

  std::vector<double> input_;            // AIF on the grid
  std::vector<double> integral_;         // J = ∫AIF
  std::vector<double> double_integral_;  // ∫J
  std::vector<double> scratch_;
};

}  // namespace perfpipe
