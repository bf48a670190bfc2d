#include "stages/clinical_volumes.hpp"

namespace perfpipe {

void ClinicalVolumes::see_normal(double cbf, double tmax) {
  if (normal_ && tmax <= hypoperfusion_thresholds[0]) normal_->add(cbf);
}

void ClinicalVolumes::add(double cbf, double tmax) {
  if (normal_) {
    normal_median_ = normal_cbf();
    normal_.reset();
  }
  for (std::size_t i = 0; i < over_.size(); ++i) over_[i] += tmax > hypoperfusion_thresholds[i];
  core_ += tmax > hypoperfusion_thresholds[1] && cbf < 0.3 * normal_median_;
}

std::optional<double> ClinicalVolumes::mismatch_ratio() const {
  if (core_ == 0) return std::nullopt;
  return static_cast<double>(over_[1]) / static_cast<double>(core_);
}

std::optional<double> ClinicalVolumes::hypoperfusion_intensity_ratio() const {
  if (over_[1] == 0) return std::nullopt;
  return static_cast<double>(over_[3]) / static_cast<double>(over_[1]);
}

}  // namespace perfpipe
