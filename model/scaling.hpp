// How curves enter a network: one place for training and every inference engine.
#pragma once

#include <cstdint>
#include <span>

namespace perfpipe {

/// The factor by which a patient's tissue curves and AIF are both multiplied before they enter a network:
/// input_scale / (peak of the AIF), so that the scaled AIF peaks at `input_scale`. The paper states no scaling, and its
/// learning rates depend on one. With this one the estimates do not change with the scanner's gain, TE or relaxivity,
/// which multiply both curves alike; the ratio of tissue to artery, which carries CBF and CBV, is kept.
/// `aif` is a concentration curve in any unit. Throws InputError if it is empty, not finite, or its peak is not
/// positive.
float input_factor(std::span<const float> aif, double input_scale);

/// Multiplies a curve by the factor; `scaled` has the curve's length.
void scale_curve(std::span<const float> curve, float factor, std::span<float> scaled);

/// The network's input of one sample: `patch` [9, 70] gets the curves in the rows `neighbours` [9] of `curves`
/// [curves, 70], each multiplied by the factor. The rows must exist.
void scale_patch(std::span<const float> curves, std::span<const std::int32_t> neighbours, float factor,
                 std::span<float> patch);

}  // namespace perfpipe
