// The gamma-variate as a model of a bolus' first passage.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace perfpipe {

/// c(t) = peak · x^α exp(α (1 - x)), x = (t - arrival) / rise, for t > arrival, else 0 (Madsen, Phys Med Biol 37:1597,
/// 1992): A (t - t0)^α exp(-(t - t0)/β) with β = rise/α, its peak at arrival + rise.
struct GammaVariate {
  double peak = 0.0;     ///< in the curve's unit
  double arrival = 0.0;  ///< t0, s
  double rise = 1.0;     ///< from arrival to the peak, s
  double shape = 5.0;    ///< α

  double at(double t) const;
  /// ∫c dt = peak · (rise/α) (e/α)^α Γ(α + 1).
  double area() const;
  /// Full width at half maximum in s.
  double width() const;
};

struct GammaVariateFit {
  GammaVariate curve;
  std::int64_t first_pass_end = 0;  ///< first sample that no longer belongs to the passage
  double rms = 0.0;                 ///< of the residual over the passage
};

/// Share of the peak to which a curve has fallen where its first passage ends, and below which its arrival is sought.
inline constexpr double first_pass_end_share = 0.2;
inline constexpr double arrival_share = 0.05;

/// Least-squares fit (Levenberg-Marquardt) of samples at 0, dt, 2 dt, ... up to the end of the first passage: where the
/// curve, behind its highest sample, falls to a fifth of it. Start: α = 5, t0 the last sample before the peak at or
/// below 5 % of it. Nothing if the curve has no positive peak. Deterministic; α stays within 0.5 to 30, the rise at or
/// above a tenth of a sample.
std::optional<GammaVariateFit> fit_gamma_variate(std::span<const float> curve, double dt);

}  // namespace perfpipe
