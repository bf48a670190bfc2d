// How samples of a mini-batch are varied from epoch to epoch, where that changes their target in a known way.
#pragma once

#include "core/random.hpp"
#include "model/recipe.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// One way of eight to mirror and turn a patch: what stands at each of its nine positions comes from which. The first
/// is the identity.
std::array<std::uint8_t, 9> patch_symmetry(unsigned which);

/// What is drawn for a mini-batch: by seed, stream, epoch and step alone, so that every rank draws the same.
class Augmentation {
 public:
  /// None: every sample stays as it is.
  Augmentation() = default;
  Augmentation(const Recipe& recipe, std::int64_t epoch, std::size_t step, std::size_t samples, std::size_t patients);

  std::uint8_t which_symmetry(std::size_t sample) const { return symmetries_.empty() ? 0 : symmetries_[sample]; }
  std::array<std::uint8_t, 9> symmetry(std::size_t sample) const { return patch_symmetry(which_symmetry(sample)); }
  /// Of the tissue curves, and of the target where it is proportional to them (CBF, CBV).
  float gain(std::size_t sample) const { return gains_.empty() ? 1.0f : gains_[sample]; }
  /// By how many samples both curves come later (earlier if negative). Deconvolution does not see it.
  std::int64_t shift(std::size_t patient) const { return shifts_.empty() ? 0 : shifts_[patient]; }

 private:
  std::vector<std::uint8_t> symmetries_;
  std::vector<float> gains_;
  std::vector<std::int64_t> shifts_;
};

/// Moves a curve in place: zeros come in at the start (before the bolus there is none), its last value is held at the
/// end.
void shift_curve(std::span<float> curve, std::int64_t shift);

}  // namespace perfpipe
