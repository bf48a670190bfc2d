// Histograms, errors and agreement of maps, accumulated voxel by voxel in constant memory.
#pragma once

#include <cstdint>
#include <vector>

namespace perfpipe {

/// Counts of values in equal classes over [0, upper]; values outside go to the first or last class.
class Histogram {
 public:
  explicit Histogram(double upper, std::size_t classes = 1 << 16);
  void add(double value);
  void add(const Histogram& other);
  std::int64_t count() const { return total_; }
  /// The value below which `percent` % lie, to one class width (upper edge of its class); 0 if empty.
  double percentile(double percent) const;

 private:
  double upper_;
  std::int64_t total_ = 0;
  std::vector<std::int64_t> classes_;
};

/// How two maps agree over the voxels added; `estimate` against `reference`.
class Agreement {
 public:
  void add(double estimate, double reference);
  std::int64_t count() const { return n_; }
  double rmse() const;               ///< root of the mean squared difference
  double bias() const;               ///< mean difference, estimate - reference
  double sd_of_differences() const;  ///< limits of agreement are bias ± 1.96 of it (Bland and Altman, Lancet 1986)
  double sd_of_reference() const;    ///< population SD
  double mean_reference() const;
  double correlation() const;  ///< Pearson; 0 where one side is constant
  double concordance() const;  ///< Lin, Biometrics 45:255 (1989): 2ρσ₁σ₂ / (σ₁² + σ₂² + (μ₁-μ₂)²)
  /// Root of the mean squared difference of the reference from a constant.
  double rmse_of_constant(double constant) const;

 private:
  // Welford's recurrences: sums of squares of values near 1600 would lose the digits that matter.
  std::int64_t n_ = 0;
  double mean_e_ = 0.0, mean_r_ = 0.0, m2_e_ = 0.0, m2_r_ = 0.0, c_er_ = 0.0, squared_ = 0.0;
};

/// Dice = 2|A∩B| / (|A|+|B|); both empty counts 1 (and is flagged by `both_empty`).
struct Overlap {
  std::int64_t a = 0, b = 0, both = 0;
  void add(bool in_a, bool in_b) {
    a += in_a;
    b += in_b;
    both += in_a && in_b;
  }
  bool both_empty() const { return a + b == 0; }
  double dice() const { return both_empty() ? 1.0 : 2.0 * static_cast<double>(both) / static_cast<double>(a + b); }
};

/// Mean and sample SD (0 for fewer than two).
struct MeanSd {
  double mean = 0.0;
  double sd = 0.0;
};
MeanSd mean_sd(const std::vector<double>& values);

}  // namespace perfpipe
