#include "model/recipe.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

namespace perfpipe {

void check_recipe(const Recipe& recipe) {
  const auto finite_from = [](double x, double low) { return std::isfinite(x) && x >= low; };
  if (recipe.batch < 1 || recipe.epochs < 1 || !finite_from(recipe.learning_rate, 0.0) ||
      !finite_from(recipe.decay, 0.0) || !finite_from(recipe.momentum, 0.0) || !std::isfinite(recipe.dampening) ||
      !finite_from(recipe.plateau_factor, 0.0) || recipe.plateau_times < 0 || recipe.plateau_patience < 1 ||
      !finite_from(recipe.warm_up, 0.0) || recipe.warm_up > 1.0 || !finite_from(recipe.tissue_scale, 0.0) ||
      !finite_from(recipe.gain, 1.0) || recipe.shift < 0 || recipe.shift > 35 ||
      !finite_from(recipe.input_scale, std::numeric_limits<double>::min()))
    throw std::invalid_argument("recipe '" + recipe.name + "': a number is out of its range");
}

double one_cycle_rate(const Recipe& recipe, std::int64_t n, std::int64_t steps) {
  const double rising = std::max(1.0, std::floor(recipe.warm_up * static_cast<double>(steps)));
  const auto step = static_cast<double>(n);
  if (step < rising) return recipe.learning_rate * (step + 1.0) / rising;
  const double way = (step - rising) / std::max(1.0, static_cast<double>(steps) - rising);
  return recipe.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * way));
}

}  // namespace perfpipe
