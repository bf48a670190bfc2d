// Volumes that clinicians read off perfusion maps. For research use, not for diagnosis.
#pragma once

#include "stages/statistics.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace perfpipe {

/// Thresholds in s of the hypoperfusion volumes.
inline constexpr std::array<double, 4> hypoperfusion_thresholds{4.0, 6.0, 8.0, 10.0};

/// Volumes from one patient's CBF (any scale: relative) and Tmax (s) over the brain mask. Call see_normal() for every
/// voxel first, then add() for every voxel.
class ClinicalVolumes {
 public:
  explicit ClinicalVolumes(double voxel_ml) : voxel_ml_(voxel_ml) {}

  /// Normal tissue is that with Tmax of at most 4 s.
  void see_normal(double cbf, double tmax);
  void add(double cbf, double tmax);

  /// Median CBF of the normal tissue (0 without any), to 1/65536 of the paper's CBF range.
  double normal_cbf() const { return normal_ ? normal_->percentile(50.0) : normal_median_; }
  /// Volume in ml with Tmax strictly over hypoperfusion_thresholds[i].
  double hypoperfused_ml(std::size_t i) const { return static_cast<double>(over_[i]) * voxel_ml_; }
  /// Core: CBF under 30 % of the normal tissue's median, and Tmax > 6 s (else CSF would be core).
  double core_ml() const { return static_cast<double>(core_) * voxel_ml_; }
  /// V(Tmax > 6 s) - core.
  double mismatch_ml() const { return hypoperfused_ml(1) - core_ml(); }
  /// V(Tmax > 6 s) / core; nothing without a core.
  std::optional<double> mismatch_ratio() const;
  /// Hypoperfusion intensity ratio V(Tmax > 10 s) / V(Tmax > 6 s); nothing without hypoperfusion.
  std::optional<double> hypoperfusion_intensity_ratio() const;

 private:
  double voxel_ml_;
  std::optional<Histogram> normal_{Histogram(1600.0)};  ///< until add(): half a megabyte
  double normal_median_ = 0.0;
  std::array<std::int64_t, 4> over_{};
  std::int64_t core_ = 0;
};

}  // namespace perfpipe
