#include "stages/brain_mask.hpp"

#include "formats/value_check.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {

float otsu_threshold(std::span<const float> image) {
  float low = INFINITY, high = -INFINITY;
  for (float v : image)
    if (std::isfinite(v)) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  if (!(high > low)) return low;
  constexpr int classes = 256;
  std::array<double, classes> count{};
  const double width = (static_cast<double>(high) - low) / classes;
  for (float v : image)
    if (std::isfinite(v))
      ++count[static_cast<std::size_t>(std::min(classes - 1.0, (static_cast<double>(v) - low) / width))];
  double total = 0.0, moment = 0.0;
  for (int i = 0; i < classes; ++i) {
    total += count[static_cast<std::size_t>(i)];
    moment += i * count[static_cast<std::size_t>(i)];
  }
  double below = 0.0, moment_below = 0.0, best = -1.0;
  int best_class = 0;
  for (int i = 0; i < classes - 1; ++i) {
    below += count[static_cast<std::size_t>(i)];
    moment_below += i * count[static_cast<std::size_t>(i)];
    if (below == 0.0 || below == total) continue;
    const double difference = moment_below / below - (moment - moment_below) / (total - below);
    const double between = below * (total - below) * difference * difference;
    if (between > best) {
      best = between;
      best_class = i;
    }
  }
  return static_cast<float>(low + (best_class + 1) * width);
}

void keep_largest_component(std::vector<std::uint8_t>& mask, const Extent& extent) {
  const auto [nz, ny, nx] = extent;
  std::vector<std::int32_t> label(mask.size(), 0);
  std::vector<std::int64_t> stack;
  std::int32_t next = 0, best = 0;
  std::int64_t best_size = 0;
  for (std::size_t seed = 0; seed < mask.size(); ++seed) {
    if (mask[seed] == 0 || label[seed] != 0) continue;
    ++next;
    std::int64_t size = 0;
    stack.assign(1, static_cast<std::int64_t>(seed));
    label[seed] = next;
    while (!stack.empty()) {
      const std::int64_t v = stack.back();
      stack.pop_back();
      ++size;
      const std::int64_t x = v % nx, y = v / nx % ny, z = v / (nx * ny);
      const auto visit = [&](bool inside, std::int64_t to) {
        if (!inside || mask[static_cast<std::size_t>(to)] == 0 || label[static_cast<std::size_t>(to)] != 0) return;
        label[static_cast<std::size_t>(to)] = next;
        stack.push_back(to);
      };
      visit(x > 0, v - 1);
      visit(x + 1 < nx, v + 1);
      visit(y > 0, v - nx);
      visit(y + 1 < ny, v + nx);
      visit(z > 0, v - nx * ny);
      visit(z + 1 < nz, v + nx * ny);
    }
    if (size > best_size) {
      best_size = size;
      best = next;
    }
  }
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = best != 0 && label[i] == best;
}

void fill_holes(std::vector<std::uint8_t>& mask, const Extent& extent) {
  const auto [nz, ny, nx] = extent;
  std::vector<std::uint8_t> outside(static_cast<std::size_t>(ny * nx));
  std::vector<std::int64_t> stack;
  for (std::int64_t z = 0; z < nz; ++z) {
    std::uint8_t* const slice = mask.data() + z * ny * nx;
    std::fill(outside.begin(), outside.end(), std::uint8_t{0});
    const auto visit = [&](std::int64_t y, std::int64_t x) {
      const std::int64_t v = y * nx + x;
      if (slice[v] != 0 || outside[static_cast<std::size_t>(v)] != 0) return;
      outside[static_cast<std::size_t>(v)] = 1;
      stack.push_back(v);
    };
    for (std::int64_t x = 0; x < nx; ++x) {
      visit(0, x);
      visit(ny - 1, x);
    }
    for (std::int64_t y = 0; y < ny; ++y) {
      visit(y, 0);
      visit(y, nx - 1);
    }
    while (!stack.empty()) {
      const std::int64_t v = stack.back();
      stack.pop_back();
      const std::int64_t x = v % nx, y = v / nx;
      if (x > 0) visit(y, x - 1);
      if (x + 1 < nx) visit(y, x + 1);
      if (y > 0) visit(y - 1, x);
      if (y + 1 < ny) visit(y + 1, x);
    }
    for (std::int64_t v = 0; v < ny * nx; ++v)
      if (outside[static_cast<std::size_t>(v)] == 0) slice[v] = 1;
  }
}

std::vector<std::uint8_t> compute_brain_mask(std::span<const float> baseline, const Extent& extent) {
  std::vector<std::uint8_t> mask(baseline.size());
  const float threshold = otsu_threshold(baseline);
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = baseline[i] > threshold;
  keep_largest_component(mask, extent);
  fill_holes(mask, extent);
  return mask;
}

namespace {

using Mask = std::vector<std::uint8_t>;

/// Calls `see(neighbour)` for the voxels within `radius` of voxel v in its slice, itself too.
template <class See>
void around(std::int64_t v, const Extent& extent, std::int64_t radius, See&& see) {
  const auto [nz, ny, nx] = extent;
  const std::int64_t x = v % nx, y = v / nx % ny;
  for (std::int64_t dy = -radius; dy <= radius; ++dy)
    for (std::int64_t dx = -radius; dx <= radius; ++dx)
      if (dx * dx + dy * dy <= radius * radius && x + dx >= 0 && x + dx < nx && y + dy >= 0 && y + dy < ny)
        see(v + dy * nx + dx);
}

Mask soft_tissue(std::span<const float> hu) {
  Mask mask(hu.size());
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = hu[i] >= least_soft_tissue && hu[i] <= most_soft_tissue;
  return mask;
}

/// Mean over each voxel and its four neighbours in the plane; air and bone are clipped, or one voxel of them would
/// take its whole neighbourhood along.
std::vector<float> smoothed_hu(std::span<const float> hu, const Extent& extent) {
  std::vector<float> smooth(hu.size());
  for (std::size_t i = 0; i < hu.size(); ++i) {
    float sum = 0.0f, count = 0.0f;
    around(static_cast<std::int64_t>(i), extent, 1, [&](std::int64_t n) {
      sum += std::clamp(hu[static_cast<std::size_t>(n)], -200.0f, 300.0f);
      ++count;
    });
    smooth[i] = sum / count;
  }
  return smooth;
}

Mask eroded(const Mask& mask, const Extent& extent, std::int64_t radius) {
  Mask kept(mask);
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != 0)
      around(static_cast<std::int64_t>(i), extent, radius, [&](std::int64_t n) {
        if (mask[static_cast<std::size_t>(n)] == 0) kept[i] = 0;
      });
  return kept;
}

/// `mask` and what of `within` lies no further than `radius` from it.
Mask grown(const Mask& mask, const Mask& within, const Extent& extent, std::int64_t radius) {
  Mask larger(mask);
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != 0)
      around(static_cast<std::int64_t>(i), extent, radius, [&](std::int64_t n) {
        if (within[static_cast<std::size_t>(n)] != 0) larger[static_cast<std::size_t>(n)] = 1;
      });
  return larger;
}

}  // namespace

std::vector<std::uint8_t> compute_ct_brain_mask(std::span<const float> baseline, const Extent& extent,
                                                double in_plane_mm) {
  constexpr double erosion_mm = 3.0;
  const auto radius = static_cast<std::int64_t>(std::lround(erosion_mm / in_plane_mm));
  Mask mask = eroded(soft_tissue(smoothed_hu(baseline, extent)), extent, radius);
  keep_largest_component(mask, extent);
  // One voxel more than was eroded: smoothing took the rim that lies against bone.
  mask = grown(mask, soft_tissue(baseline), extent, radius + 1);
  fill_holes(mask, extent);
  return mask;
}

}  // namespace perfpipe
