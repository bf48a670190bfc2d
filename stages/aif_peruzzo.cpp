#include "stages/aif_peruzzo.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace perfpipe {
namespace {

using Rows = std::vector<std::int64_t>;

/// Without the `share` of rows with the largest key; ties stay in the order of the rows.
Rows without_largest(Rows rows, const std::vector<double>& key, double share) {
  std::stable_sort(rows.begin(), rows.end(),
                   [&](auto a, auto b) { return key[static_cast<std::size_t>(a)] < key[static_cast<std::size_t>(b)]; });
  const auto dropped = static_cast<std::size_t>(share * static_cast<double>(rows.size()));
  rows.resize(rows.size() - std::min(dropped, rows.size() - std::min<std::size_t>(1, rows.size())));
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// Two clusters by Ward's method: the pair whose union adds least to the squared distances within clusters is joined
/// until two are left. Returns the members of each, as places in `rows`.
std::array<Rows, 2> ward_halves(std::span<const float> curves, std::int64_t samples, const Rows& rows) {
  const std::size_t n = rows.size();
  std::vector<double> distance(n * n, std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      double sum = 0.0;
      for (std::int64_t t = 0; t < samples; ++t) {
        const double d = static_cast<double>(curves[static_cast<std::size_t>(rows[i] * samples + t)]) -
                         curves[static_cast<std::size_t>(rows[j] * samples + t)];
        sum += d * d;
      }
      distance[i * n + j] = distance[j * n + i] = sum;
    }
  std::vector<Rows> members(n);
  std::vector<std::size_t> alive(n), nearest(n);
  std::iota(alive.begin(), alive.end(), 0);
  for (std::size_t i = 0; i < n; ++i) members[i] = {static_cast<std::int64_t>(i)};
  const auto find_nearest = [&](std::size_t i) {
    nearest[i] = alive.front() == i ? alive.back() : alive.front();
    for (const auto j : alive)
      if (j != i && distance[i * n + j] < distance[i * n + nearest[i]]) nearest[i] = j;
  };
  for (const auto i : alive) find_nearest(i);
  while (alive.size() > 2) {
    std::size_t a = alive.front();
    for (const auto i : alive)
      if (distance[i * n + nearest[i]] < distance[a * n + nearest[a]]) a = i;
    const std::size_t b = nearest[a];
    // Lance and Williams' recurrence for Ward's criterion on squared distances.
    const double size_a = static_cast<double>(members[a].size()), size_b = static_cast<double>(members[b].size());
    for (const auto j : alive) {
      if (j == a || j == b) continue;
      const double size = static_cast<double>(members[j].size());
      distance[a * n + j] = distance[j * n + a] =
          ((size_a + size) * distance[a * n + j] + (size_b + size) * distance[b * n + j] - size * distance[a * n + b]) /
          (size_a + size_b + size);
    }
    members[a].insert(members[a].end(), members[b].begin(), members[b].end());
    alive.erase(std::find(alive.begin(), alive.end(), b));
    for (const auto j : alive)
      if (j == a || nearest[j] == a || nearest[j] == b) find_nearest(j);
  }
  std::array<Rows, 2> halves;
  for (std::size_t h = 0; h < 2 && h < alive.size(); ++h) {
    halves[h] = members[alive[h]];
    std::sort(halves[h].begin(), halves[h].end());
  }
  return halves;
}

struct Peak {
  double height = 0.0;
  std::int64_t time = 0;
};
Peak peak_of_mean(std::span<const float> curves, std::int64_t samples, const Rows& rows) {
  Peak peak;
  for (std::int64_t t = 0; t < samples; ++t) {
    double sum = 0.0;
    for (auto row : rows) sum += curves[static_cast<std::size_t>(row * samples + t)];
    sum /= static_cast<double>(rows.size());
    if (sum > peak.height) peak = {sum, t};
  }
  return peak;
}

}  // namespace

std::vector<std::uint8_t> central_ellipse(std::span<const std::uint8_t> mask, const Extent& extent) {
  const auto [nz, ny, nx] = extent;
  std::vector<std::uint8_t> inside(mask.size(), 0);
  for (std::int64_t z = 0; z < nz; ++z) {
    std::int64_t x0 = nx, x1 = -1, y0 = ny, y1 = -1;
    for (std::int64_t y = 0; y < ny; ++y)
      for (std::int64_t x = 0; x < nx; ++x)
        if (mask[static_cast<std::size_t>((z * ny + y) * nx + x)] != 0) {
          x0 = std::min(x0, x);
          x1 = std::max(x1, x);
          y0 = std::min(y0, y);
          y1 = std::max(y1, y);
        }
    const double a = peruzzo_major * static_cast<double>(x1 - x0 + 1),
                 b = peruzzo_minor * static_cast<double>(y1 - y0 + 1);
    for (std::int64_t y = y0; y <= y1; ++y)
      for (std::int64_t x = x0; x <= x1; ++x) {
        const double u = (static_cast<double>(x) - 0.5 * static_cast<double>(x0 + x1)) / a,
                     v = (static_cast<double>(y) - 0.5 * static_cast<double>(y0 + y1)) / b;
        const auto i = static_cast<std::size_t>((z * ny + y) * nx + x);
        inside[i] = mask[i] != 0 && u * u + v * v <= 1.0;
      }
  }
  return inside;
}

std::vector<std::int64_t> peruzzo_select(std::span<const float> curves, std::int64_t samples) {
  const auto n = static_cast<std::int64_t>(curves.size()) / samples;
  std::vector<double> small(static_cast<std::size_t>(n)), late(static_cast<std::size_t>(n)),
      rough(static_cast<std::size_t>(n));
  Rows rows;
  for (std::int64_t row = 0; row < n; ++row) {
    const auto curve = curves.subspan(static_cast<std::size_t>(row * samples), static_cast<std::size_t>(samples));
    double area = 0.0, bends = 0.0;
    for (float c : curve) area += c;
    for (std::size_t t = 1; t + 1 < curve.size(); ++t) {
      const double bend = static_cast<double>(curve[t - 1]) - 2.0 * curve[t] + curve[t + 1];
      bends += bend * bend;
    }
    const auto i = static_cast<std::size_t>(row);
    small[i] = -area;
    late[i] = static_cast<double>(std::max_element(curve.begin(), curve.end()) - curve.begin());
    rough[i] = area > 0.0 ? bends / (area * area) : INFINITY;
    if (area > 0.0) rows.push_back(row);
  }
  rows = without_largest(std::move(rows), small, peruzzo_area_share);
  rows = without_largest(std::move(rows), late, peruzzo_late_share);
  rows = without_largest(std::move(rows), rough, peruzzo_rough_share);
  if (rows.size() > peruzzo_most_candidates)
    rows = without_largest(std::move(rows), small,
                           1.0 - static_cast<double>(peruzzo_most_candidates) / static_cast<double>(rows.size()));
  while (rows.size() > peruzzo_most_voxels) {
    const auto halves = ward_halves(curves, samples, rows);
    std::array<Rows, 2> candidates;
    std::array<Peak, 2> peaks;
    for (std::size_t h = 0; h < 2; ++h) {
      for (auto place : halves[h]) candidates[h].push_back(rows[static_cast<std::size_t>(place)]);
      peaks[h] = peak_of_mean(curves, samples, candidates[h]);
    }
    const double higher = std::max(peaks[0].height, peaks[1].height);
    const bool same = std::abs(peaks[0].height - peaks[1].height) < peruzzo_same_peak * higher;
    const std::size_t kept = same && peaks[0].time != peaks[1].time ? (peaks[0].time < peaks[1].time ? 0 : 1)
                                                                    : (peaks[0].height >= peaks[1].height ? 0 : 1);
    if (candidates[kept].size() < peruzzo_least_voxels) break;
    rows = candidates[kept];
  }
  return rows;
}

}  // namespace perfpipe
