// Clustering of many short curves.
#pragma once

#include "core/simd.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace perfpipe {

/// Points, eight of them side by side: one register of AVX-512 for each coordinate.
class Points {
 public:
  static constexpr std::size_t lanes = sizeof(simd::DoubleLanes) / sizeof(double);

  Points(std::size_t count, std::size_t dims)
      : count_(count), dims_(dims), coordinates_((count + lanes - 1) / lanes * lanes * dims) {}
  std::size_t count() const { return count_; }
  std::size_t dims() const { return dims_; }
  double& at(std::size_t point, std::size_t axis) { return coordinates_[place(point, axis)]; }
  double at(std::size_t point, std::size_t axis) const { return coordinates_[place(point, axis)]; }
  /// The coordinates of `lanes` points from `point` on, a multiple of it: [dims, lanes].
  const double* beside(std::size_t point) const { return &coordinates_[place(point, 0)]; }
  /// Leaves these points, ascending, in their order.
  void keep(const std::vector<std::size_t>& kept);

 private:
  std::size_t place(std::size_t point, std::size_t axis) const {
    return (point / lanes * dims_ + axis) * lanes + point % lanes;
  }

  std::size_t count_, dims_;
  std::vector<double> coordinates_;
};

/// Lloyd's k-means in the given start assignment [count]; at most 100 rounds, ties to the lower cluster. Returns the
/// cluster of each point. An emptied cluster stays empty. The bits do not depend on `threads`: centres are sums of
/// fixed blocks, added in their order.
std::vector<std::uint8_t> k_means(const Points& points, int clusters, std::vector<std::uint8_t> assignment,
                                  int threads);

}  // namespace perfpipe
