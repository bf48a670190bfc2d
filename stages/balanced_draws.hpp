// Balanced draws: the same number of samples from each class of the target's value.
#pragma once

#include "core/random.hpp"

#include <cstdint>
#include <vector>

namespace perfpipe {

/// `classes` equal-width classes over [0, upper]; values above `upper` belong to the last, below 0 to the first.
struct ClassEdges {
  double upper = 1.0;
  std::int64_t classes = 10;
  std::int64_t class_of(double value) const;
  std::vector<double> edges() const;
};

/// How many samples are drawn from each class, and which members: ordinals in the order in which the members are met.
struct ClassDraw {
  std::vector<std::int64_t> ordinals;  ///< ascending; a member drawn k times stands k times
  bool with_replacement = false;
};

/// Draws `total` samples from classes with these member counts: equal shares for the classes that are not empty (the
/// first get the remainder). A class with fewer members than its share is drawn with replacement.
std::vector<ClassDraw> draw_balanced(const std::vector<std::int64_t>& members, std::int64_t total, Random& random);

}  // namespace perfpipe
