#include "stages/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {

Histogram::Histogram(double upper, std::size_t classes) : upper_(upper), classes_(classes, 0) {}

void Histogram::add(double value) {
  const double place = value / upper_ * static_cast<double>(classes_.size());
  const double last = static_cast<double>(classes_.size()) - 1.0;
  ++classes_[static_cast<std::size_t>(place > 0.0 ? std::min(place, last) : 0.0)];
  ++total_;
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < classes_.size(); ++i) classes_[i] += other.classes_[i];
  total_ += other.total_;
}

double Histogram::percentile(double percent) const {
  if (total_ == 0) return 0.0;
  const double wanted = percent / 100.0 * static_cast<double>(total_);
  std::int64_t below = 0;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    below += classes_[i];
    if (static_cast<double>(below) >= wanted)
      return upper_ * static_cast<double>(i + 1) / static_cast<double>(classes_.size());
  }
  return upper_;
}

void Agreement::add(double estimate, double reference) {
  ++n_;
  const double n = static_cast<double>(n_), de = estimate - mean_e_, dr = reference - mean_r_;
  mean_e_ += de / n;
  mean_r_ += dr / n;
  m2_e_ += de * (estimate - mean_e_);
  m2_r_ += dr * (reference - mean_r_);
  c_er_ += de * (reference - mean_r_);
  squared_ += (estimate - reference) * (estimate - reference);
}

double Agreement::rmse() const { return n_ == 0 ? 0.0 : std::sqrt(squared_ / static_cast<double>(n_)); }
double Agreement::bias() const { return mean_e_ - mean_r_; }
double Agreement::mean_reference() const { return mean_r_; }
double Agreement::sd_of_reference() const { return n_ == 0 ? 0.0 : std::sqrt(m2_r_ / static_cast<double>(n_)); }
double Agreement::sd_of_differences() const {
  if (n_ < 2) return 0.0;
  return std::sqrt(std::max(0.0, m2_e_ + m2_r_ - 2.0 * c_er_) / static_cast<double>(n_ - 1));
}
double Agreement::correlation() const { return m2_e_ > 0.0 && m2_r_ > 0.0 ? c_er_ / std::sqrt(m2_e_ * m2_r_) : 0.0; }
double Agreement::concordance() const {
  if (n_ == 0) return 0.0;
  const double n = static_cast<double>(n_), denominator = m2_e_ / n + m2_r_ / n + bias() * bias();
  return denominator > 0.0 ? 2.0 * c_er_ / n / denominator : 1.0;
}
double Agreement::rmse_of_constant(double constant) const {
  if (n_ == 0) return 0.0;
  const double shift = mean_r_ - constant;
  return std::sqrt(m2_r_ / static_cast<double>(n_) + shift * shift);
}

MeanSd mean_sd(const std::vector<double>& values) {
  MeanSd result;
  if (values.empty()) return result;
  for (double v : values) result.mean += v / static_cast<double>(values.size());
  if (values.size() < 2) return result;
  double sum = 0.0;
  for (double v : values) sum += (v - result.mean) * (v - result.mean);
  result.sd = std::sqrt(sum / static_cast<double>(values.size() - 1));
  return result;
}

}  // namespace perfpipe
