// Automatic search for the arterial input function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace perfpipe {

/// Share of voxels with the largest areas that become candidates, and share of the roughest that are dropped then.
inline constexpr double aif_candidate_share = 0.10;
inline constexpr double aif_rough_share = 0.25;
inline constexpr int aif_clusters = 5;
inline constexpr double aif_peak_share = 0.5;

/// Mouridsen et al., Magn Reson Med 55:524 (2006), made deterministic. `curves` [n, samples] are the candidates (the
/// aif_candidate_share with the largest area under the curve), in any unit. Returns the rows whose mean is the AIF.
/// Steps: drop the roughest 25 % by the sum of squared second differences of the unit-area curve; normalise each to unit
/// area over the passage [arrival - 1, arrival + 12) samples; k-means with k = 5, started from the curves sorted by first moment and
/// cut in five; keep the cluster with the lowest first moment; k-means once more inside it.
/// Ours: a cluster whose mean curve peaks below aif_peak_share of the highest cluster's is never kept. Noisy late tissue
/// has little area in the window, and divided by it made the earliest "cluster" in five of six simulated patients.
std::vector<std::int64_t> mouridsen_select(std::span<const float> curves, std::int64_t samples);

/// Lloyd's k-means on the rows of `points` [n, dims] in the given start assignment; at most 100 rounds, ties to the lower
/// cluster. Returns the cluster of each row. An emptied cluster stays empty.
std::vector<int> k_means(std::span<const double> points, std::int64_t dims, int clusters, std::vector<int> assignment);

}  // namespace perfpipe
