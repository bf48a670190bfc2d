// The candidates of a search for arteries: of very many curves those with the largest areas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// Curves of some voxels, and where they are.
struct Candidates {
  std::vector<float> curves;        // [n, samples]
  std::vector<std::int64_t> where;  // (z · ny + y) · nx + x
};

/// Mean curve of these rows.
std::vector<float> mean_of(const Candidates& candidates, const std::vector<std::int64_t>& rows, std::int64_t samples);

/// Σ of a curve's samples.
float curve_area(std::span<const float> curve);

/// Keeps the largest of the curves that it meets. What is out of the running is dropped now and then, so that an eighth
/// more than what stays is held at most: a series of 13 million voxels has 1.3 million candidates, 370 MB.
class LargestCurves {
 public:
  /// The `count` largest, at least one, and those that equal the last of them; only areas above 0.
  LargestCurves(std::size_t count, std::int64_t samples);
  void meet(std::int64_t voxel, std::span<const float> curve, float area);
  /// What stays, in the order in which it was met.
  Candidates take();

 private:
  void make_room(std::size_t kept);
  void drop();

  std::size_t count_, samples_, room_ = 0;
  float least_ = 1e-30f;  ///< area of a curve that may still be among the largest
  Candidates found_;
  std::vector<float> areas_;
};

}  // namespace perfpipe
