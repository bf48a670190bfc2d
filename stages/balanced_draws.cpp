#include "stages/balanced_draws.hpp"

#include <algorithm>
#include <unordered_set>

namespace perfpipe {

std::int64_t ClassEdges::class_of(double value) const {
  const double place = value / upper * static_cast<double>(classes);
  return place > 0.0 ? std::min(static_cast<std::int64_t>(std::min(place, 1e9)), classes - 1) : 0;
}

std::vector<double> ClassEdges::edges() const {
  std::vector<double> all;
  for (std::int64_t i = 0; i <= classes; ++i)
    all.push_back(upper * static_cast<double>(i) / static_cast<double>(classes));
  return all;
}

std::vector<ClassDraw> draw_balanced(const std::vector<std::int64_t>& members, std::int64_t total, Random& random) {
  std::vector<ClassDraw> draws(members.size());
  const auto filled =
      static_cast<std::int64_t>(std::count_if(members.begin(), members.end(), [](auto m) { return m > 0; }));
  if (filled == 0) return draws;
  std::int64_t rank = 0;
  for (std::size_t c = 0; c < members.size(); ++c) {
    if (members[c] == 0) continue;
    const std::int64_t share = total / filled + (rank++ < total % filled);
    auto& draw = draws[c];
    draw.with_replacement = members[c] < share;
    if (draw.with_replacement) {
      for (std::int64_t i = 0; i < share; ++i)
        draw.ordinals.push_back(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(members[c]))));
    } else {
      // Floyd's sampling (CACM 30:754, 1987): each subset equally likely, memory for the sample alone.
      std::unordered_set<std::int64_t> taken;
      for (std::int64_t i = members[c] - share; i < members[c]; ++i) {
        const auto candidate = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(i + 1)));
        taken.insert(taken.count(candidate) != 0 ? i : candidate);
      }
      draw.ordinals.assign(taken.begin(), taken.end());
    }
    std::sort(draw.ordinals.begin(), draw.ordinals.end());
  }
  return draws;
}

}  // namespace perfpipe
