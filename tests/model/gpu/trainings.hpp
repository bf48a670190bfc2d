// Small trainings of both recipes, for the tests of training on the GPU.
#pragma once

#include "model/training_cuda.hpp"
#include "model/training_network.hpp"
#include "tests/model/synthetic.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {

inline Recipe paper(Parameter p) {
  Recipe recipe;
  recipe.parameter = p;
  recipe.learning_rate = std::array{5e-5, 5e-4, 5e-3, 5e-3}[index(p)];
  recipe.decay = 1e-5;
  recipe.input_scale = p == Parameter::cbf ? 1.0 : 10.0;
  recipe.epochs = 3;
  recipe.stream = std::string("cuda/") + std::string(name(p));
  return recipe;
}

inline Recipe modern(Parameter p) {
  Recipe recipe = paper(p);
  recipe.optimiser = OptimiserKind::adam;
  recipe.schedule = Schedule::one_cycle;
  recipe.learning_rate = 2e-3;
  recipe.batch = 64;
  recipe.input_scale = recipe.tissue_scale = 1.0;
  recipe.standardise = recipe.symmetries = recipe.keep_last = true;
  recipe.gain = 2.0;
  recipe.shift = 3;
  return recipe;
}

struct Sets {
  SyntheticSet training, validation;
  PatchSet train, validate;
  Sets(Parameter p, std::size_t samples, std::size_t validation_samples = 30, int patients = 4)
      : training(synthetic_set(samples, patients, "cuda/training")),
        validation(synthetic_set(validation_samples, 1, "cuda/validation")),
        train(training.view(p)),
        validate(validation.view(p)) {}
};

inline TrainingJob job(const Recipe& recipe, const Sets& sets) { return {&recipe, &sets.train, &sets.validate}; }

inline Recipe shorter(Recipe recipe, std::int64_t batch) {
  recipe.batch = batch;
  return recipe;
}

inline double norm(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2.0);
  return std::sqrt(sum);
}

/// Layer by layer, in the order of the weight file.
inline void expect_near(Parameter p, const std::vector<float>& found, const std::vector<float>& expected,
                        double relative) {
  const TrainingNetwork network(architecture_of(p));
  const auto a = unflatten(architecture_of(p), network.in_file_order(found));
  const auto b = unflatten(architecture_of(p), network.in_file_order(expected));
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double size = norm(b[i].values, std::vector<float>(b[i].values.size(), 0.0f));
    EXPECT_GT(size, 0.0) << a[i].name;
    EXPECT_LT(norm(a[i].values, b[i].values), relative * size) << name(p) << ", " << a[i].name;
  }
}

}  // namespace perfpipe
