#include "stages/aif_search.hpp"

#include "stages/concentration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

namespace perfpipe {
namespace {

/// Σ t c / Σ c over the window: late or broad curves have a large one.
double first_moment(std::span<const double> curve) {
  double area = 0.0, moment = 0.0;
  for (std::size_t t = 0; t < curve.size(); ++t) {
    area += curve[t];
    moment += static_cast<double>(t) * curve[t];
  }
  return area > 0.0 ? moment / area : static_cast<double>(curve.size());
}

/// Clusters the rows and returns those of the cluster with the lowest first moment of its mean curve, and of the
/// clusters that are as early. `areas` turn the unit-area windows back into concentrations.
std::vector<std::int64_t> earliest_clusters(const std::vector<std::vector<double>>& windows,
                                            const std::vector<double>& areas, const std::vector<std::int64_t>& rows) {
  const auto n = static_cast<std::int64_t>(rows.size());
  if (n < aif_clusters) return rows;
  std::vector<std::int64_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> moments;
  for (auto row : rows) moments.push_back(first_moment(windows[static_cast<std::size_t>(row)]));
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return moments[static_cast<std::size_t>(a)] < moments[static_cast<std::size_t>(b)];
  });
  std::vector<int> start(rows.size());
  for (std::int64_t i = 0; i < n; ++i)
    start[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = static_cast<int>(i * aif_clusters / n);
  const auto dims = windows[static_cast<std::size_t>(rows[0])].size();
  std::vector<double> points;
  points.reserve(rows.size() * dims);
  for (auto row : rows)
    points.insert(points.end(), windows[static_cast<std::size_t>(row)].begin(),
                  windows[static_cast<std::size_t>(row)].end());
  const auto cluster = k_means(points, static_cast<std::int64_t>(dims), aif_clusters, start);
  std::array<double, aif_clusters> moment{}, peak{};
  for (int c = 0; c < aif_clusters; ++c) {
    std::vector<double> shape(dims, 0.0), curve(dims, 0.0);
    std::int64_t members = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (cluster[i] != c) continue;
      ++members;
      for (std::size_t t = 0; t < dims; ++t) {
        shape[t] += points[i * dims + t];
        curve[t] += points[i * dims + t] * areas[static_cast<std::size_t>(rows[i])];
      }
    }
    moment[static_cast<std::size_t>(c)] = first_moment(shape);
    peak[static_cast<std::size_t>(c)] =
        members > 0 ? *std::max_element(curve.begin(), curve.end()) / static_cast<double>(members) : 0.0;
  }
  const double highest = *std::max_element(peak.begin(), peak.end());
  const auto arterial = [&](std::size_t c) { return peak[c] > 0.0 && peak[c] >= aif_peak_share * highest; };
  double earliest = INFINITY;
  for (std::size_t c = 0; c < peak.size(); ++c)
    if (arterial(c)) earliest = std::min(earliest, moment[c]);
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto c = static_cast<std::size_t>(cluster[i]);
    if (arterial(c) && moment[c] <= earliest + aif_same_moment) kept.push_back(rows[i]);
  }
  return kept;
}

/// Of these rows those that are hardly diluted by tissue: area of at least aif_area_share of the 90th percentile's, and
/// the aif_least_voxels largest whatever their area.
std::vector<std::int64_t> undiluted(const std::vector<std::int64_t>& rows, const std::vector<double>& areas) {
  if (rows.size() <= aif_least_voxels) return rows;
  std::vector<double> sorted;
  for (auto row : rows) sorted.push_back(areas[static_cast<std::size_t>(row)]);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const double least = std::min(aif_area_share * sorted[sorted.size() / 10], sorted[aif_least_voxels - 1]);
  std::vector<std::int64_t> kept;
  for (auto row : rows)
    if (areas[static_cast<std::size_t>(row)] >= least) kept.push_back(row);
  return kept;
}

}  // namespace

std::vector<int> k_means(std::span<const double> points, std::int64_t dims, int clusters, std::vector<int> assignment) {
  const std::size_t n = assignment.size(), d = static_cast<std::size_t>(dims);
  std::vector<double> centres(static_cast<std::size_t>(clusters) * d);
  std::vector<std::int64_t> members(static_cast<std::size_t>(clusters));
  for (int round = 0; round < 100; ++round) {
    std::fill(centres.begin(), centres.end(), 0.0);
    std::fill(members.begin(), members.end(), 0);
    for (std::size_t i = 0; i < n; ++i) {
      const auto c = static_cast<std::size_t>(assignment[i]);
      ++members[c];
      for (std::size_t t = 0; t < d; ++t) centres[c * d + t] += points[i * d + t];
    }
    for (std::size_t c = 0; c < members.size(); ++c)
      for (std::size_t t = 0; t < d; ++t)
        centres[c * d + t] /= static_cast<double>(std::max<std::int64_t>(members[c], 1));
    bool changed = false;
    for (std::size_t i = 0; i < n; ++i) {
      int best = assignment[i];
      double best_distance = INFINITY;
      for (int c = 0; c < clusters; ++c) {
        if (members[static_cast<std::size_t>(c)] == 0) continue;
        double distance = 0.0;
        for (std::size_t t = 0; t < d; ++t) {
          const double difference = points[i * d + t] - centres[static_cast<std::size_t>(c) * d + t];
          distance += difference * difference;
        }
        if (distance < best_distance) {
          best_distance = distance;
          best = c;
        }
      }
      changed = changed || best != assignment[i];
      assignment[i] = best;
    }
    if (!changed) break;
  }
  return assignment;
}

float curve_area(std::span<const float> curve) {
  double area = 0.0;
  for (float c : curve) area += c;
  return static_cast<float>(area);
}

float least_candidate_area(std::vector<float> areas, double share) {
  constexpr float above_zero = 1e-30f;
  if (areas.empty()) return above_zero;
  const auto keep = std::max<std::size_t>(1, static_cast<std::size_t>(share * static_cast<double>(areas.size())));
  std::nth_element(areas.begin(), areas.begin() + static_cast<std::ptrdiff_t>(keep) - 1, areas.end(), std::greater<>());
  return std::max(areas[keep - 1], above_zero);
}

std::vector<std::int64_t> mouridsen_select(std::span<const float> curves, std::int64_t samples) {
  const auto n = static_cast<std::int64_t>(curves.size()) / samples;
  const auto at = [&](std::int64_t row, std::int64_t t) {
    return static_cast<double>(curves[static_cast<std::size_t>(row * samples + t)]);
  };
  std::vector<double> mean(static_cast<std::size_t>(samples), 0.0);
  for (std::int64_t row = 0; row < n; ++row)
    for (std::int64_t t = 0; t < samples; ++t) mean[static_cast<std::size_t>(t)] += at(row, t);
  const std::int64_t arrival = bolus_arrival(mean);
  const std::int64_t first = std::max<std::int64_t>(0, arrival - 1), last = std::min(samples, arrival + 12);

  std::vector<double> roughness(static_cast<std::size_t>(n));
  for (std::int64_t row = 0; row < n; ++row) {
    double area = 0.0, rough = 0.0;
    for (std::int64_t t = 0; t < samples; ++t) area += at(row, t);
    for (std::int64_t t = 1; t + 1 < samples; ++t) {
      if (t + 1 >= first && t - 1 < last) continue;
      const double second = at(row, t - 1) - 2.0 * at(row, t) + at(row, t + 1);
      rough += second * second;
    }
    roughness[static_cast<std::size_t>(row)] = rough / (area * area);
  }
  std::vector<std::int64_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  std::stable_sort(rows.begin(), rows.end(), [&](auto a, auto b) {
    return roughness[static_cast<std::size_t>(a)] < roughness[static_cast<std::size_t>(b)];
  });
  rows.resize(static_cast<std::size_t>(std::max<std::int64_t>(
      std::min<std::int64_t>(n, 1), n - static_cast<std::int64_t>(aif_rough_share * static_cast<double>(n)))));
  std::sort(rows.begin(), rows.end());

  std::vector<double> areas(static_cast<std::size_t>(n), 0.0);
  std::vector<std::vector<double>> windows(static_cast<std::size_t>(n));
  for (auto row : rows) {
    auto& window = windows[static_cast<std::size_t>(row)];
    double& area = areas[static_cast<std::size_t>(row)];
    for (std::int64_t t = first; t < last; ++t) area += at(row, t);
    window.reserve(static_cast<std::size_t>(last - first));
    for (std::int64_t t = first; t < last; ++t) window.push_back(area > 0.0 ? at(row, t) / area : 0.0);
  }
  return undiluted(earliest_clusters(windows, areas, earliest_clusters(windows, areas, rows)), areas);
}

}  // namespace perfpipe
