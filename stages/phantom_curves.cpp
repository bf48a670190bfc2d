#include "stages/phantom_curves.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {
namespace {

constexpr double step = 0.1;      // s: the gamma-variate's curvature leaves 3e-4 of its peak between two samples
constexpr int erlang_stages = 3;  // between an exponential (1) and a box (infinitely many)
constexpr double least_dispersion = 0.01;  // s

double gamma_variate(double t, double shape, double scale) {
  if (t <= 0.0) return 0.0;
  const double x = t / (shape * scale);  // 1 at the peak
  return std::exp(shape * (std::log(x) + 1.0 - x));
}

/// One step of the unit-gain filter T y' = x - y, exact for an input that is linear between samples `dt` apart.
struct FirstOrder {
  double keep, first, last;
  FirstOrder(double time_constant, double dt)
      : keep(std::exp(-dt / time_constant)),
        first((1.0 - keep) * time_constant / dt - keep),
        last(1.0 - (1.0 - keep) * time_constant / dt) {}
  double next(double y, double x0, double x1) const { return keep * y + first * x0 + last * x1; }
};

void filter(double time_constant, std::span<double> curve) {
  const FirstOrder stage(time_constant, step);
  double y = 0.0;
  double before = 0.0;  // everything is zero at t = 0
  for (double& x : curve) {
    y = stage.next(y, before, x);
    before = x;
    x = y;
  }
}

/// Value at time t of samples on the grid; 0 before the grid, linear between samples.
double sample(std::span<const double> grid, double t) {
  if (t <= 0.0) return 0.0;
  const double position = std::min(t / step, static_cast<double>(grid.size() - 1));
  const auto i = std::min(static_cast<std::size_t>(position), grid.size() - 2);
  const double w = position - static_cast<double>(i);
  return (1.0 - w) * grid[i] + w * grid[i + 1];
}

}  // namespace

const char* residue_name(Residue residue) {
  switch (residue) {
    case Residue::exponential:
      return "exponential";
    case Residue::linear:
      return "linear";
    case Residue::box:
      return "box";
    case Residue::gamma:
      return "gamma";
  }
  return "";
}

double residue_function(Residue residue, double mtt, double t) {
  if (t < 0.0) return 0.0;
  const double x = t / mtt;
  switch (residue) {
    case Residue::exponential:
      return std::exp(-x);
    case Residue::linear:
      return std::max(0.0, 1.0 - 0.5 * x);
    case Residue::box:
      return x < 1.0 ? 1.0 : 0.0;
    case Residue::gamma: {
      double term = 1.0;
      double sum = 1.0;
      for (int i = 1; i < erlang_stages; ++i) sum += term *= erlang_stages * x / i;
      return sum * std::exp(-erlang_stages * x);
    }
  }
  return 0.0;
}

double ArterialInput::at(double t) const {
  const double since = t - arrival;
  if (since <= 0.0) return 0.0;
  const double first = gamma_variate(since, shape, scale);
  const double second = recirculation * gamma_variate(since - recirculation_delay, shape, scale * recirculation_width);
  // Mixing takes about one circulation time; the kidneys clear it over minutes.
  const double mixed = tail * (1.0 - std::exp(-since / recirculation_delay)) * std::exp(-since / 300.0);
  return peak * (first + second + mixed);
}

double time_to_maximum(const Kinetics& k) {
  if (k.dispersion < least_dispersion) return k.delay;
  constexpr double grid = 0.25;
  constexpr int substeps = 10;
  constexpr double dt = grid / substeps;
  const FirstOrder stage(k.dispersion, dt);
  double best = 0.0;
  double value = 0.0;
  double before = residue_function(k.residue, k.mtt, 0.0);
  // R falls monotonically, so the dispersed function has one maximum: stop at the first grid point below its
  // predecessor.
  for (int point = 1;; ++point) {
    for (int i = 0; i < substeps; ++i) {
      const double now = residue_function(k.residue, k.mtt, ((point - 1) * substeps + i + 1) * dt);
      value = stage.next(value, before, now);
      before = now;
    }
    if (value <= best) return k.delay + (point - 1) * grid;
    best = value;
  }
}

BolusConvolution::BolusConvolution(const ArterialInput& input, double duration) {
  const auto samples = static_cast<std::size_t>(std::ceil(duration / step)) + 2;
  input_.resize(samples);
  integral_.resize(samples);
  double_integral_.resize(samples);
  scratch_.resize(samples);
  for (std::size_t i = 0; i < samples; ++i) input_[i] = input.at(static_cast<double>(i) * step);
  for (std::size_t i = 1; i < samples; ++i) {
    const double middle = input.at((static_cast<double>(i) - 0.5) * step);
    const double area = step / 6.0 * (input_[i - 1] + 4.0 * middle + input_[i]);  // Simpson
    // J at the middle of the step, from the parabola through the three samples.
    const double half = integral_[i - 1] + step / 24.0 * (5.0 * input_[i - 1] + 8.0 * middle - input_[i]);
    integral_[i] = integral_[i - 1] + area;
    double_integral_[i] = double_integral_[i - 1] + step / 6.0 * (integral_[i - 1] + 4.0 * half + integral_[i]);
  }
}

void BolusConvolution::sample_scratch(double delay, double factor, std::span<const double> times,
                                      std::span<double> curve) const {
  for (std::size_t i = 0; i < times.size(); ++i) curve[i] = factor * sample(scratch_, times[i] - delay);
}

void BolusConvolution::tissue(const Kinetics& k, double tissue_factor, std::span<const double> times,
                              std::span<double> curve) {
  const std::size_t n = scratch_.size();
  if (k.residue == Residue::box || k.residue == Residue::linear) {
    const double longest = k.residue == Residue::box ? k.mtt : 2.0 * k.mtt;  // longest transit time
    for (std::size_t i = 0; i < n; ++i) {
      const double t = static_cast<double>(i) * step;
      scratch_[i] = k.residue == Residue::box ? sample(integral_, t - longest)
                                              : (double_integral_[i] - sample(double_integral_, t - longest)) / longest;
    }
  } else {
    const int stages = k.residue == Residue::gamma ? erlang_stages : 1;
    scratch_ = integral_;
    for (int i = 0; i < stages; ++i) filter(k.mtt / stages, scratch_);
  }
  for (std::size_t i = 0; i < n; ++i) scratch_[i] = integral_[i] - scratch_[i];
  if (k.dispersion >= least_dispersion) filter(k.dispersion, scratch_);
  sample_scratch(k.delay, tissue_factor * k.cbf / 6000.0, times, curve);
}

void BolusConvolution::vein(double transit, double delay, std::span<const double> times, std::span<double> curve) {
  scratch_ = input_;
  filter(transit, scratch_);
  sample_scratch(delay, 1.0, times, curve);
}

}  // namespace perfpipe
