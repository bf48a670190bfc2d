// Signal to concentration: steady state, baseline, bolus arrival. Pure functions on curves.
#pragma once

#include <cstdint>
#include <span>

namespace perfpipe {

/// Leading frames of a mean signal curve that are out of steady state, at most four: each brighter by more than 5 %
/// than the median of the three frames behind it (real series: 27 to 32 % on the first). Only near frames are compared:
/// where TR is 2 s the bolus comes with the fifth frame, and against a median that reached into it all frames before it
/// looked bright.
std::int64_t unsteady_frames(std::span<const double> mean_signal);

/// Number of baseline frames of a mean signal curve that starts in steady state. At least 3, extended while the next
/// frame is within 5 % of the running mean, at most 12 (after dsc-mri-toolbox); then cut back to one frame before the
/// mean has left the baseline by 3 % of its largest change: arteries fill while the mean over the brain still looks
/// flat, and a single such frame lowered their S0 enough to shift the whole curve by 1.8 1/s.
std::int64_t baseline_frames(std::span<const double> mean_signal);

/// Index of the last sample before the bolus of a mean concentration curve: going back from its peak, the first one at
/// or below 10 % of it. 0 if there is none.
std::int64_t bolus_arrival(std::span<const double> mean_concentration);

/// MR: C(t) = -ln(S(t)/S0) / TE = ΔR2*(t) (CAPLEX Q.EL1.009) in 1/s, TE (Q.MS1.005) in s, S0 (Q.MS1.002) the mean of
/// the first `baseline` samples. False (and zeros) if a sample or S0 is not finite and positive, or a sample reaches
/// `ceiling`, the largest value that the file can hold: it is saturated. `concentration` may be the signal itself.
bool concentration_mr(std::span<const float> signal, std::int64_t baseline, double echo_time, float ceiling,
                      std::span<float> concentration);

/// CT: C(t) = HU(t) - HU0. False (and zeros) if a sample is not finite or reaches `ceiling`. In place as above.
bool concentration_ct(std::span<const float> signal, std::int64_t baseline, float ceiling,
                      std::span<float> concentration);

}  // namespace perfpipe
