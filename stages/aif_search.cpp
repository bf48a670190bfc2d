#include "stages/aif_search.hpp"

#include "core/arrays.hpp"
#include "core/parallel.hpp"
#include "stages/concentration.hpp"
#include "stages/k_means.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

namespace perfpipe {
namespace {

constexpr std::size_t block = 4096;  ///< curves that one thread takes at a time

/// Curves during the bolus' passage, each with unit area.
struct Passages {
  Points shapes;
  std::vector<double> areas;       ///< turn shapes back into concentrations
  std::vector<std::int64_t> rows;  ///< where they stand among the candidates, ascending

  std::size_t count() const { return rows.size(); }
  void keep(const std::vector<std::size_t>& kept) {
    shapes.keep(kept);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      areas[i] = areas[kept[i]];
      rows[i] = rows[kept[i]];
    }
    areas.resize(kept.size());
    rows.resize(kept.size());
  }
};

/// Σ t c / Σ c over the passage: late or broad curves have a large one.
template <class Curve>
double first_moment(std::size_t samples, const Curve& curve) {
  double area = 0.0, moment = 0.0;
  for (std::size_t t = 0; t < samples; ++t) {
    area += curve(t);
    moment += static_cast<double>(t) * curve(t);
  }
  return area > 0.0 ? moment / area : static_cast<double>(samples);
}

/// Sorted by first moment and cut into as many parts as there are clusters.
std::vector<std::uint8_t> parts_by_moment(const Points& shapes, int threads) {
  const std::size_t n = shapes.count();
  std::vector<std::pair<double, std::size_t>> order(n);
  parallel_blocks(n, block, threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      order[i] = {first_moment(shapes.dims(), [&](std::size_t t) { return shapes.at(i, t); }), i};
  });
  std::vector<std::uint8_t> part(n, 0);
  std::size_t begin = 0;
  for (std::size_t c = 0; c < aif_clusters; ++c) {
    const std::size_t end = ((c + 1) * n + aif_clusters - 1) / aif_clusters;
    if (end < n) std::nth_element(order.begin() + begin, order.begin() + end, order.end());
    for (; begin < end; ++begin) part[order[begin].second] = static_cast<std::uint8_t>(c);
  }
  return part;
}

/// Clusters the curves and keeps those of the cluster with the lowest first moment of its mean curve, and of the
/// clusters that are as early.
void keep_earliest_clusters(Passages& passages, int threads) {
  const std::size_t n = passages.count(), dims = passages.shapes.dims();
  if (n < aif_clusters) return;
  const auto cluster = k_means(passages.shapes, aif_clusters, parts_by_moment(passages.shapes, threads), threads);
  const std::size_t width = 2 * dims + 1;  // of a cluster: Σ of its shapes, of its curves, and how many there are
  std::vector<double> sums(aif_clusters * width, 0.0);
  parallel_sums(n, block, threads, sums, [&](std::size_t begin, std::size_t end, std::span<double> of_block) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto sum = of_block.subspan(cluster[i] * width, width);
      for (std::size_t t = 0; t < dims; ++t) {
        sum[t] += passages.shapes.at(i, t);
        sum[dims + t] += passages.shapes.at(i, t) * passages.areas[i];
      }
      sum[2 * dims] += 1.0;
    }
  });
  std::array<double, aif_clusters> moment{}, peak{};
  for (std::size_t c = 0; c < aif_clusters; ++c) {
    const auto sum = std::span(sums).subspan(c * width, width);
    moment[c] = first_moment(dims, [&](std::size_t t) { return sum[t]; });
    const auto curve = sum.subspan(dims, dims);
    peak[c] = *std::max_element(curve.begin(), curve.end()) / std::max(sum[2 * dims], 1.0);
  }
  const double highest = *std::max_element(peak.begin(), peak.end());
  const auto arterial = [&](std::size_t c) { return peak[c] > 0.0 && peak[c] >= aif_peak_share * highest; };
  double earliest = INFINITY;
  for (std::size_t c = 0; c < peak.size(); ++c)
    if (arterial(c)) earliest = std::min(earliest, moment[c]);
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < n; ++i)
    if (arterial(cluster[i]) && moment[cluster[i]] <= earliest + aif_same_moment) kept.push_back(i);
  passages.keep(kept);
}

/// The rows of curves that are hardly diluted by tissue: area of at least aif_area_share of the 90th percentile's, and
/// the aif_least_voxels largest whatever their area.
std::vector<std::int64_t> undiluted(const Passages& passages) {
  if (passages.count() <= aif_least_voxels) return passages.rows;
  auto sorted = passages.areas;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const double least = std::min(aif_area_share * sorted[sorted.size() / 10], sorted[aif_least_voxels - 1]);
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < passages.count(); ++i)
    if (passages.areas[i] >= least) kept.push_back(passages.rows[i]);
  return kept;
}

/// The `count` rows with the lowest of these values, ascending; of equal ones the first.
std::vector<std::int64_t> lowest(const std::vector<double>& values, std::size_t count) {
  std::vector<std::pair<double, std::int64_t>> order(values.size());
  for (std::size_t row = 0; row < values.size(); ++row) order[row] = {values[row], static_cast<std::int64_t>(row)};
  if (count < order.size())
    std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end());
  std::vector<std::int64_t> rows(count);
  for (std::size_t i = 0; i < count; ++i) rows[i] = order[i].second;
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

std::vector<std::int64_t> mouridsen_select(std::span<const float> curves, std::int64_t samples, int threads) {
  const auto length = static_cast<std::size_t>(samples), n = curves.size() / length;
  if (n == 0) return {};
  const auto curve_of = [&](std::size_t row) { return curves.subspan(row * length, length); };
  std::vector<double> mean(length, 0.0);
  parallel_sums(n, block, threads, mean, [&](std::size_t begin, std::size_t end, std::span<double> sums) {
    for (std::size_t row = begin; row < end; ++row) add_to(sums, curve_of(row));
  });
  const std::int64_t arrival = bolus_arrival(mean);
  const auto first = static_cast<std::size_t>(std::max<std::int64_t>(0, arrival - 1)),
             last = static_cast<std::size_t>(std::min(samples, arrival + 12));

  std::vector<double> roughness(n);
  parallel_blocks(n, block, threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      const auto curve = curve_of(row);
      double area = 0.0, rough = 0.0;
      for (const float c : curve) area += c;
      for (std::size_t t = 1; t + 1 < length; ++t) {
        if (t + 1 >= first && t - 1 < last) continue;
        const double second = static_cast<double>(curve[t - 1]) - 2.0 * curve[t] + curve[t + 1];
        rough += second * second;
      }
      roughness[row] = rough / (area * area);
    }
  });
  const auto dropped = static_cast<std::size_t>(aif_rough_share * static_cast<double>(n));
  auto rows = lowest(roughness, std::max<std::size_t>(1, n - dropped));

  Passages passages{Points(rows.size(), last - first), std::vector<double>(rows.size()), std::move(rows)};
  parallel_blocks(passages.count(), block, threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto passage = curve_of(static_cast<std::size_t>(passages.rows[i])).subspan(first, last - first);
      double& area = passages.areas[i];
      for (const float c : passage) area += c;
      for (std::size_t t = 0; t < passage.size(); ++t)
        passages.shapes.at(i, t) = area > 0.0 ? static_cast<double>(passage[t]) / area : 0.0;
    }
  });
  keep_earliest_clusters(passages, threads);
  keep_earliest_clusters(passages, threads);
  return undiluted(passages);
}

}  // namespace perfpipe
