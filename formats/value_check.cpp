#include "formats/value_check.hpp"

#include "core/arrays.hpp"
#include "core/parallel.hpp"
#include "core/simd.hpp"
#include "formats/kept_series.hpp"
#include "formats/nifti_image.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr double warn_share = 0.01;  ///< of the mask's voxels with a sample that cannot be used
constexpr double error_share = 0.50;
constexpr double bolus_sd = 3.0;                            ///< a bolus peaks above this many SD of the baseline
constexpr std::size_t min_baseline = 3, max_baseline = 12;  ///< frames

/// Voxels of similar mean, taken together: which of them are inside is known only when all have been read.
struct IntensityClass {
  std::int64_t voxels = 0;
  std::int64_t bad = 0;
  std::int64_t varying = 0;  ///< not constant in time
  double sum_of_means = 0.0;
  std::vector<double> curve;  ///< sum over the voxels that are not bad; empty while there is none
};

/// What is seen of a voxel's curve by itself.
struct VoxelFacts {
  double mean = 0.0;
  std::size_t place = 0;  ///< its class
  bool inside = false;    ///< of the mask
  bool bad = false;
  bool varying = false;
};

/// Classes over the whole range of float32 means: 16 to the octave on either side of 0, so that Otsu's threshold,
/// placed between classes, is exact to 5 %.
class Classes {
 public:
  explicit Classes(std::size_t frames) : frames_(frames), classes_(2 * half + 1) {}

  static std::size_t place(double mean) {
    if (mean == 0.0) return half;
    const double octave = std::clamp(std::log2(std::abs(mean)), -20.0, 44.0) + 20.0;
    const auto step = std::min<std::size_t>(half, 1 + static_cast<std::size_t>(octave * per_octave));
    return mean > 0.0 ? half + step : half - step;
  }

  void add(const VoxelFacts& voxel, std::span<const float> curve) {
    IntensityClass& one = classes_[voxel.place];
    ++one.voxels;
    one.bad += voxel.bad;
    one.varying += voxel.varying;
    one.sum_of_means += voxel.mean;
    if (voxel.bad) return;
    if (one.curve.empty()) one.curve.resize(frames_);
    add_to(one.curve, curve);
  }

  /// The classes from `first` to `last`, taken together.
  IntensityClass between(std::size_t first, std::size_t last) const {
    IntensityClass total;
    total.curve.resize(frames_);
    for (std::size_t i = first; i <= last; ++i) {
      const IntensityClass& one = classes_[i];
      total.voxels += one.voxels;
      total.bad += one.bad;
      total.varying += one.varying;
      for (std::size_t t = 0; t < one.curve.size(); ++t) total.curve[t] += one.curve[t];
    }
    return total;
  }

  IntensityClass above(std::size_t first) const { return between(first, classes_.size() - 1); }

  /// First class above the threshold that maximises the variance between the two sides (Otsu 1979).
  std::size_t otsu() const {
    double count = 0.0, sum = 0.0;
    for (const auto& one : classes_) {
      count += static_cast<double>(one.voxels);
      sum += one.sum_of_means;
    }
    double below_count = 0.0, below_sum = 0.0, best = -1.0;
    std::size_t first = 0;
    for (std::size_t i = 0; i + 1 < classes_.size(); ++i) {
      below_count += static_cast<double>(classes_[i].voxels);
      below_sum += classes_[i].sum_of_means;
      const double above_count = count - below_count;
      if (classes_[i].voxels == 0 || above_count == 0.0) continue;
      const double distance = below_sum / below_count - (sum - below_sum) / above_count;
      const double between = below_count * above_count * distance * distance;
      if (between > best) {
        best = between;
        first = i + 1;
      }
    }
    return first;
  }

 private:
  static constexpr double per_octave = 16.0;
  static constexpr std::size_t half = 64 * 16 + 1;
  std::size_t frames_;
  std::vector<IntensityClass> classes_;
};

/// Whole numbers in the order of the floats, NaN beyond the infinities: their least and largest are found in vectors.
[[gnu::always_inline]] inline std::int32_t place_among_floats(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

struct CurveRange {
  std::int32_t least = std::numeric_limits<std::int32_t>::max(), largest = std::numeric_limits<std::int32_t>::min();
  double sum = 0.0;
};

PERFPIPE_SIMD void range_of(const float* curve, std::size_t n, CurveRange* range) {
  std::int32_t least = range->least, largest = range->largest;
  for (std::size_t t = 0; t < n; ++t) {
    const std::int32_t place = place_among_floats(curve[t]);
    least = std::min(least, place);
    largest = std::max(largest, place);
  }
  range->least = least;
  range->largest = largest;
  using simd::lanes;
  double sums[lanes]{};
  std::size_t t = 0;
  for (; t + lanes <= n; t += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += static_cast<double>(curve[t + lane]);
  for (std::size_t lane = 0; t + lane < n; ++lane) sums[lane] += static_cast<double>(curve[t + lane]);
  for (double sum : sums) range->sum += sum;
}

VoxelFacts look_at(std::span<const float> curve, float floor, float ceiling) {
  CurveRange range;
  range_of(curve.data(), curve.size(), &range);
  const bool all_finite = range.largest < place_among_floats(HUGE_VALF) && range.least > place_among_floats(-HUGE_VALF);
  VoxelFacts facts;
  if (all_finite) {
    facts.mean = range.sum / static_cast<double>(curve.size());
  } else {
    double sum = 0.0;
    int finite = 0;
    for (const float value : curve) {
      if (!std::isfinite(value)) continue;
      sum += static_cast<double>(value);
      ++finite;
    }
    facts.mean = finite == 0 ? 0.0 : sum / finite;
  }
  facts.place = Classes::place(facts.mean);
  facts.inside = true;
  facts.bad = !all_finite || range.largest >= place_among_floats(ceiling) || range.least <= place_among_floats(floor);
  facts.varying = !all_finite || range.largest != range.least;
  return facts;
}

/// Reads all voxels once. With a mask, the voxels outside it are not counted at all.
Classes read_classes(const Series& series, std::size_t memory_bytes, const std::filesystem::path& scratch, int threads,
                     std::vector<std::string>& warnings) {
  NiftiReader image(series.image);
  std::optional<NiftiReader> mask;
  if (!series.mask.empty()) mask.emplace(series.mask);
  const auto frames = static_cast<std::size_t>(image.frames());
  const bool signal = series.kind == SeriesKind::signal;
  const bool needs_logarithm = signal && series.modality == Modality::mr;
  const float floor = needs_logarithm ? 0.0f : -HUGE_VALF;
  const float ceiling = signal ? image.info().header.ceiling() : HUGE_VALF;
  Classes classes(frames);
  RawValues<float> values, inside;
  const std::int64_t slices = image.extent()[2], step = image.slices_within(memory_bytes);
  if (step < slices && !scratch.empty()) image.inflate_into(scratch);
  for (std::int64_t z = 0; z < slices; z += step) {
    image.read_slab(z, std::min(step, slices - z), values, threads);
    if (mask) mask->read_slab(z, std::min(step, slices - z), inside);
    const auto curve = [&](std::size_t voxel) {
      return std::span<const float>(values).subspan(voxel * frames, frames);
    };
    std::vector<VoxelFacts> voxels(values.size() / frames);
    parallel_blocks(voxels.size(), 4096, threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t v = begin; v < end; ++v)
        if (!mask || inside[v] > 0.5f) voxels[v] = look_at(curve(v), floor, ceiling);
    });
    for (std::size_t v = 0; v < voxels.size(); ++v)
      if (voxels[v].inside) classes.add(voxels[v], curve(v));
  }
  for (auto& warning : image.check_end()) warnings.push_back(std::move(warning));
  if (step >= slices) keep_series(series.image, std::move(values));
  return classes;
}

/// Where the baseline ends: from `first` on while the next frame stays within `tolerance` of the running mean.
std::size_t baseline_end(const std::vector<double>& curve, std::size_t first, double tolerance) {
  double sum = 0.0;
  std::size_t end = first;
  for (; end < curve.size() && end < first + max_baseline; ++end) {
    const double mean = end == first ? curve[end] : sum / static_cast<double>(end - first);
    if (end >= first + min_baseline && std::abs(curve[end] - mean) > tolerance) break;
    sum += curve[end];
  }
  return end;
}

/// Whether the mean curve of the mask shows a passage. The baseline is the user's, or found as METHODS section 1 has
/// it: from the third frame on, within 5 %, and within a tenth of the curve's own range: the mean over a brain falls by
/// some 5 % only, so that the 5 % alone let the bolus into the baseline. Other curves lie around 0: a fifth of their
/// range.
bool shows_bolus(const Series& series, std::vector<double> curve) {
  const bool signal = series.kind == SeriesKind::signal && series.modality == Modality::mr;
  std::size_t first = std::min<std::size_t>(2, curve.size() - min_baseline);
  // Of the steady frames alone: the first ones are brighter by more than a bolus.
  const auto [low, high] =
      std::minmax_element(curve.begin() + (signal ? static_cast<std::ptrdiff_t>(first) : 0), curve.end());
  const double range = *high - *low;
  std::size_t end =
      baseline_end(curve, first, signal ? std::min(0.05 * std::abs(curve[first]), 0.1 * range) : 0.2 * range);
  if (series.baseline_frames > 0) {
    first = 0;
    end = std::min(static_cast<std::size_t>(series.baseline_frames), curve.size());
  }
  const auto count = static_cast<double>(end - first);
  double base = 0.0;
  for (std::size_t t = first; t < end; ++t) base += curve[t] / count;
  for (double& value : curve) value = signal ? -std::log(value / base) : value - base;
  double square = 0.0, mean = 0.0;
  for (std::size_t t = first; t < end; ++t) mean += curve[t] / count;
  for (std::size_t t = first; t < end; ++t) square += (curve[t] - mean) * (curve[t] - mean);
  const double sd = std::sqrt(square / std::max(1.0, count - 1.0));
  double peak = 0.0;
  for (std::size_t t = first + 1; t + 1 < curve.size(); ++t)
    peak = std::max(peak, (curve[t - 1] + curve[t] + curve[t + 1]) / 3.0);
  return peak > bolus_sd * sd && peak > 0.0;
}

}  // namespace

ValueCheck check_series_values(const Series& series, std::size_t memory_bytes, const std::filesystem::path& scratch,
                               int threads) {
  ValueCheck check;
  const Classes classes = read_classes(series, memory_bytes, scratch, threads, check.warnings);
  const bool hounsfield = series.kind == SeriesKind::signal && series.modality == Modality::ct;
  const IntensityClass total =
      !series.mask.empty() ? classes.above(0)
      : hounsfield         ? classes.between(Classes::place(least_soft_tissue), Classes::place(most_soft_tissue))
                           : classes.above(classes.otsu());
  const std::string file = series.image.string();
  const std::string region = !series.mask.empty() ? "voxels of its mask"
                             : hounsfield         ? "voxels of soft tissue (5 to 90 HU)"
                                                  : "voxels above Otsu's threshold";
  check.mask_voxels = total.voxels;
  check.bad_voxels = total.bad;
  if (classes.above(0).varying == 0) {
    check.findings.add(
        file, "every voxel is constant in time (or all are zero); expected a perfusion series: export it again");
    return check;
  }
  const double share = total.voxels == 0 ? 1.0 : static_cast<double>(total.bad) / static_cast<double>(total.voxels);
  const std::string counted = fmt::format(
      "{} of {} {} ({:.3g} %) have a sample that is {}", total.bad, total.voxels, region, 100.0 * share,
      series.kind == SeriesKind::signal && series.modality == Modality::mr ? "not finite, zero, negative or saturated"
                                                                           : "not finite or saturated");
  if (share > error_share) {
    check.findings.add(
        file, fmt::format("{}; at most {} % may: check the export, or give a mask", counted, 100.0 * error_share));
    return check;
  }
  if (share > warn_share) check.warnings.push_back(fmt::format("{}: {}; they are left out", file, counted));
  std::vector<double> curve = total.curve;
  for (double& value : curve) value /= static_cast<double>(total.voxels - total.bad);
  if (!shows_bolus(series, std::move(curve)))
    check.findings.add(
        file, fmt::format("no bolus: the mean concentration of the {} never exceeds {} SD of its baseline; expected "
                          "the passage of a contrast agent: check that this is the perfusion series, its kind "
                          "(signal or concentration) and modality, or give baseline (frames) in the job file",
                          region, bolus_sd));
  return check;
}

}  // namespace perfpipe
