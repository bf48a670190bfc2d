// Small noisy training sets with known truth, for the tests of model/.
#pragma once

#include "core/parameters.hpp"
#include "core/random.hpp"
#include "model/training.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace perfpipe {

struct SyntheticSet {
  std::vector<float> curves = std::vector<float>(70, 0.0f);  ///< row 0: outside the mask
  std::vector<float> aifs;
  std::vector<std::int32_t> neighbours;
  std::vector<std::int32_t> patient;
  std::array<std::vector<float>, 4> targets;  ///< by parameter index

  PatchSet view(Parameter p) const { return {curves, neighbours, patient, aifs, targets[index(p)]}; }
};

/// Gamma-variate AIFs and exponential residue functions with CBF 2-120 ml/100g/min, MTT 2-25 s and delay 0-11 s, each
/// patch around one such voxel with noise of 1 % of the AIF's peak; one neighbour in twenty lies outside the mask.
inline SyntheticSet synthetic_set(std::size_t samples, int patients, const std::string& stream) {
  constexpr int n = 70;
  Random random(7, stream);
  SyntheticSet set;
  for (int p = 0; p < patients; ++p) {
    const double arrival = random.uniform(8.0, 14.0);
    const double width = random.uniform(1.0, 2.0);
    const double peak = random.uniform(5.0, 15.0);
    for (int i = 0; i < n; ++i) {
      const double x = std::max(0.0, (i - arrival) / (3.0 * width));
      set.aifs.push_back(static_cast<float>(peak * std::pow(x, 3.0) * std::exp(3.0 * (1.0 - x))));
    }
  }
  for (std::size_t s = 0; s < samples; ++s) {
    const auto p = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(patients)));
    const double cbf = random.uniform(2.0, 120.0);
    const double mtt = random.uniform(2.0, 25.0);
    const auto delay = static_cast<int>(random.below(12));
    set.patient.push_back(p);
    const std::array<double, 4> truth{cbf, cbf * mtt / 60.0, mtt, static_cast<double>(delay)};
    for (std::size_t k = 0; k < truth.size(); ++k) set.targets[k].push_back(static_cast<float>(truth[k]));

    const float* aif = set.aifs.data() + static_cast<std::size_t>(p) * n;
    std::array<double, n> tissue{};
    double sum = 0.0;
    for (int i = 0; i < n; ++i) {
      sum = sum * std::exp(-1.0 / mtt) + (i >= delay ? static_cast<double>(aif[i - delay]) : 0.0);
      tissue[static_cast<std::size_t>(i)] = cbf / 6000.0 * 1.04 / 0.73 * sum;
    }
    const double noise = 0.01 * static_cast<double>(*std::max_element(aif, aif + n));
    for (int position = 0; position < 9; ++position) {
      if (position != 4 && random.below(20) == 0) {
        set.neighbours.push_back(0);
        continue;
      }
      set.neighbours.push_back(static_cast<std::int32_t>(set.curves.size() / n));
      for (const double c : tissue) set.curves.push_back(static_cast<float>(c + noise * random.normal()));
    }
  }
  return set;
}

}  // namespace perfpipe
