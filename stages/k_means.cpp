#include "stages/k_means.hpp"

#include "core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <span>

namespace perfpipe {
namespace {

using simd::DoubleLanes;
typedef std::int64_t Choice __attribute__((vector_size(64), aligned(8), may_alias));

constexpr std::size_t block = 4096;  ///< points whose sum is one: a thread takes so many
constexpr int rounds = 100;
/// Of two distances, the share by which rounding may have brought them nearer to each other.
constexpr double rounding = 1e-9;

/// Where the centres are and were.
struct Centres {
  std::size_t clusters, dims;
  std::vector<double> places;        // [clusters, dims]
  std::vector<double> ways;          // of each: the length of all its moves
  std::vector<std::uint8_t> in_use;  // not the emptied ones
  double longest_way = 0.0;          // the sum of each round's longest move

  Centres(std::size_t k, std::size_t d) : clusters(k), dims(d), places(k * d), ways(k), in_use(k) {}
  /// To the means of their points. `sums` [clusters, dims + 1]: of the coordinates, and how many points there are.
  void move(const std::vector<double>& sums) {
    double longest = 0.0;
    for (std::size_t c = 0; c < clusters; ++c) {
      const auto sum = std::span(sums).subspan(c * (dims + 1), dims + 1);
      in_use[c] = sum[dims] > 0.0;
      if (in_use[c] == 0) continue;
      double squares = 0.0;
      for (std::size_t t = 0; t < dims; ++t) {
        const double place = sum[t] / sum[dims], way = place - places[c * dims + t];
        squares += way * way;
        places[c * dims + t] = place;
      }
      ways[c] += std::sqrt(squares);
      longest = std::max(longest, std::sqrt(squares));
    }
    longest_way += longest;
  }
};

/// For eight points [dims, 8] the nearest centre, the first of equally near ones (-1: none), and the squared distances
/// of the nearest and of the next.
PERFPIPE_SIMD void find_nearest(const double* points, const Centres& centres, std::int64_t* nearest,
                                double* least_square, double* next_square) {
  // Not auto: that would lose the type's alignment.
  const DoubleLanes* const coordinates = reinterpret_cast<const DoubleLanes*>(points);
  const double* const places = centres.places.data();
  const std::size_t dims = centres.dims;
  DoubleLanes least = DoubleLanes{} + HUGE_VAL, next = least;
  Choice choice = Choice{} - 1;
  for (std::size_t c = 0; c < centres.clusters; ++c) {
    if (centres.in_use[c] == 0) continue;
    DoubleLanes distance{};
    for (std::size_t t = 0; t < dims; ++t) {
      const DoubleLanes difference = coordinates[t] - places[c * dims + t];
      distance += difference * difference;
    }
    const Choice nearer = distance < least;
    next = nearer ? least : distance < next ? distance : next;
    least = nearer ? distance : least;
    choice = nearer ? Choice{} + static_cast<std::int64_t>(c) : choice;
  }
  *reinterpret_cast<Choice*>(nearest) = choice;
  *reinterpret_cast<DoubleLanes*>(least_square) = least;
  *reinterpret_cast<DoubleLanes*>(next_square) = next;
}

}  // namespace

void Points::keep(const std::vector<std::size_t>& kept) {
  for (std::size_t i = 0; i < kept.size(); ++i)
    for (std::size_t t = 0; t < dims_; ++t) at(i, t) = at(kept[i], t);
  count_ = kept.size();
  coordinates_.resize((count_ + lanes - 1) / lanes * lanes * dims_);
}

std::vector<std::uint8_t> k_means(const Points& points, int clusters, std::vector<std::uint8_t> assignment,
                                  int threads) {
  const std::size_t n = points.count(), d = points.dims(), k = static_cast<std::size_t>(clusters);
  std::vector<double> sums(k * (d + 1));
  const auto add = [&](std::span<double> to, std::size_t cluster, std::size_t point, double sign) {
    const auto sum = to.subspan(cluster * (d + 1), d + 1);
    for (std::size_t t = 0; t < d; ++t) sum[t] += sign * points.at(point, t);
    sum[d] += sign;
  };
  parallel_sums(n, block, threads, sums, [&](std::size_t begin, std::size_t end, std::span<double> to) {
    for (std::size_t i = begin; i < end; ++i) add(to, assignment[i], i, 1.0);
  });
  Centres centres(k, d);
  // A point stays where it is as long as its own centre and all others together have not moved by the difference of its
  // distances to the two nearest ones (Hamerly, SDM 2010): the way up to which that is so. Most points are looked at in
  // a few rounds alone, and the others cost no more than reading this.
  std::vector<double> stays(n, -HUGE_VAL);
  for (int round = 0; round < rounds; ++round) {
    centres.move(sums);
    std::atomic<bool> changed = false;
    parallel_sums(n, block, threads, sums, [&](std::size_t begin, std::size_t end, std::span<double> to) {
      for (std::size_t eight = begin; eight < end; eight += Points::lanes) {
        const std::size_t past = std::min(eight + Points::lanes, end);
        bool all_stay = true;
        for (std::size_t i = eight; i < past; ++i)
          all_stay = all_stay && stays[i] > centres.ways[assignment[i]] + centres.longest_way;
        if (all_stay) continue;
        std::int64_t nearest[Points::lanes];
        double least_square[Points::lanes], next_square[Points::lanes];
        find_nearest(points.beside(eight), centres, nearest, least_square, next_square);
        for (std::size_t i = eight; i < past; ++i) {
          const std::int64_t cluster = nearest[i - eight];
          if (cluster < 0) continue;  // near none: a coordinate is not finite
          if (cluster != assignment[i]) {
            add(to, assignment[i], i, -1.0);
            assignment[i] = static_cast<std::uint8_t>(cluster);
            add(to, assignment[i], i, 1.0);
            changed = true;
          }
          const double least = std::sqrt(least_square[i - eight]), next = std::sqrt(next_square[i - eight]);
          stays[i] =
              (1.0 - rounding) * next - (1.0 + rounding) * least + centres.ways[assignment[i]] + centres.longest_way;
        }
      }
    });
    if (!changed) break;
  }
  return assignment;
}

}  // namespace perfpipe
