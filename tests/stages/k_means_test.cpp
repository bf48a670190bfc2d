#include "stages/k_means.hpp"

#include "core/random.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Clusters = std::vector<std::uint8_t>;

/// Points whose coordinates stand behind each other.
Points points_of(const std::vector<double>& coordinates, std::size_t dims) {
  Points points(coordinates.size() / dims, dims);
  for (std::size_t i = 0; i < points.count(); ++i)
    for (std::size_t t = 0; t < dims; ++t) points.at(i, t) = coordinates[i * dims + t];
  return points;
}

Clusters k_means(const std::vector<double>& coordinates, std::size_t dims, int clusters, Clusters start,
                 int threads = 1) {
  return perfpipe::k_means(points_of(coordinates, dims), clusters, std::move(start), threads);
}

/// Lloyd's algorithm as it is defined; `rounds` becomes how many it took.
Clusters plain_k_means(const std::vector<double>& points, std::size_t dims, std::size_t clusters, Clusters assignment,
                       int& rounds) {
  for (rounds = 0; rounds < 100; ++rounds) {
    std::vector<double> centres(clusters * dims, 0.0), members(clusters, 0.0);
    for (std::size_t i = 0; i < assignment.size(); ++i) {
      members[assignment[i]] += 1.0;
      for (std::size_t t = 0; t < dims; ++t) centres[assignment[i] * dims + t] += points[i * dims + t];
    }
    auto now = assignment;
    for (std::size_t i = 0; i < assignment.size(); ++i) {
      double least = HUGE_VAL;
      for (std::size_t c = 0; c < clusters; ++c) {
        if (members[c] == 0.0) continue;
        double distance = 0.0;
        for (std::size_t t = 0; t < dims; ++t)
          distance += std::pow(points[i * dims + t] - centres[c * dims + t] / members[c], 2);
        if (distance < least) now[i] = static_cast<std::uint8_t>(c);
        least = std::min(least, distance);
      }
    }
    if (now == assignment) break;
    assignment = now;
  }
  return assignment;
}

TEST(KMeans, FindsTwoHeapsFromABadStart) {
  EXPECT_EQ(k_means({0.0, 0.1, 10.0, 0.2, 10.1, 9.9}, 1, 2, {0, 1, 0, 1, 0, 1}), (Clusters{1, 1, 0, 1, 0, 0}));
}

TEST(KMeans, WorksInSeveralDimensions) {
  EXPECT_EQ(k_means({0, 0, 5, 5, 0, 1, 5, 4, 1, 0}, 2, 2, {0, 1, 1, 1, 0}), (Clusters{0, 1, 0, 1, 0}));
}

TEST(KMeans, TiesGoToTheLowerClusterAndEmptyOnesStayEmpty) {
  EXPECT_EQ(k_means({0.0, 2.0, 1.0}, 1, 2, {0, 1, 0})[2], 0);
  EXPECT_EQ(k_means({1.0, 1.0, 8.0}, 1, 3, {0, 0, 0}), (Clusters{0, 0, 0}))
      << "clusters 1 and 2 had no centre to draw anything";
}

TEST(KMeans, SkipsNoPointThatWouldMove) {
  // Noise has no clusters: centres move a little for many rounds, and points between them now and then.
  constexpr std::size_t dims = 13, n = 10001;
  Random random(1, "k-means");
  std::vector<double> points;
  Clusters start;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t t = 0; t < dims; ++t) points.push_back(random.normal());
    start.push_back(static_cast<std::uint8_t>(i % 5));
  }
  int rounds = 0;
  const auto expected = plain_k_means(points, dims, 5, start, rounds);
  EXPECT_GE(rounds, 30) << "or the test shows nothing";
  const auto found = k_means(points, dims, 5, start);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(k_means(points, dims, 5, start, 3), found) << "on three threads";
}

TEST(KMeans, APointThatIsNotFiniteStaysWhereItWas) {
  const double nan = std::nan("");
  // Its cluster's mean is not a place either: the others all go to the other cluster.
  EXPECT_EQ(k_means({0.0, 0.1, nan, 9.0}, 1, 2, {0, 0, 1, 1}), (Clusters{0, 0, 1, 0}));
}

TEST(Points, KeepsSomeInTheirOrder) {
  auto points = points_of({0, 0, 1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60, 7, 70, 8, 80, 9, 90}, 2);
  points.keep({1, 7, 8, 9});
  ASSERT_EQ(points.count(), 4u);
  for (const std::size_t i : {0, 1, 2, 3}) {
    EXPECT_EQ(points.at(i, 0), (std::vector<double>{1, 7, 8, 9}[i]));
    EXPECT_EQ(points.at(i, 1), 10.0 * points.at(i, 0));
  }
}

}  // namespace
}  // namespace perfpipe
