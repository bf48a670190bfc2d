#include "stages/largest_curves.hpp"

#include <algorithm>
#include <functional>

namespace perfpipe {

std::vector<float> mean_of(const Candidates& candidates, const std::vector<std::int64_t>& rows, std::int64_t samples) {
  std::vector<double> sum(static_cast<std::size_t>(samples), 0.0);
  for (auto row : rows)
    for (std::int64_t t = 0; t < samples; ++t)
      sum[static_cast<std::size_t>(t)] += candidates.curves[static_cast<std::size_t>(row * samples + t)];
  std::vector<float> mean;
  for (double x : sum)
    mean.push_back(static_cast<float>(x / static_cast<double>(std::max<std::size_t>(rows.size(), 1))));
  return mean;
}

float curve_area(std::span<const float> curve) {
  double area = 0.0;
  for (float c : curve) area += c;
  return static_cast<float>(area);
}

LargestCurves::LargestCurves(std::size_t count, std::int64_t samples)
    : count_(std::max<std::size_t>(count, 1)), samples_(static_cast<std::size_t>(samples)) {
  make_room(count_);
}

void LargestCurves::make_room(std::size_t kept) {
  room_ = kept + count_ / 8 + 1;
  found_.where.reserve(room_);
  found_.curves.reserve(room_ * samples_);
  areas_.reserve(room_);
}

void LargestCurves::meet(std::int64_t voxel, std::span<const float> curve, float area) {
  if (!(area >= least_)) return;
  if (areas_.size() == room_) {
    drop();
    if (room_ - areas_.size() <= count_ / 16) make_room(areas_.size());  // many equal the last
    if (!(area >= least_)) return;
  }
  found_.where.push_back(voxel);
  found_.curves.insert(found_.curves.end(), curve.begin(), curve.end());
  areas_.push_back(area);
}

Candidates LargestCurves::take() {
  drop();
  return std::move(found_);
}

void LargestCurves::drop() {
  if (areas_.size() <= count_) return;
  auto sorted = areas_;
  const auto last = sorted.begin() + static_cast<std::ptrdiff_t>(count_) - 1;
  std::nth_element(sorted.begin(), last, sorted.end(), std::greater<>());
  least_ = *last;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < areas_.size(); ++i) {
    if (!(areas_[i] >= least_)) continue;
    areas_[kept] = areas_[i];
    found_.where[kept] = found_.where[i];
    if (kept != i) std::copy_n(&found_.curves[i * samples_], samples_, &found_.curves[kept * samples_]);
    ++kept;
  }
  areas_.resize(kept);
  found_.where.resize(kept);
  found_.curves.resize(kept * samples_);
}

}  // namespace perfpipe
