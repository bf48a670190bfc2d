// Training as the GPU computes it, on the host: the kernels' bodies, and what drives them, beside the CPU's training.
#include "model/training_cuda.hpp"

#include "core/error.hpp"
#include "tests/model/gpu/host_training.hpp"
#include "tests/model/gpu/trainings.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::vector<TrainingOutcome> on_host(std::vector<TrainingJob> jobs) {
  return train_together(std::move(jobs), {0, nullptr, 2}, gpu::host_training_table(), 3);
}

TrainingResult alone(const Recipe& recipe, const Sets& sets) {
  auto outcomes = on_host({job(recipe, sets)});
  if (outcomes.front().failure) std::rethrow_exception(outcomes.front().failure);
  return outcomes.front().result;
}

/// The velocity after SGD's first step is the gradient.
TEST(CudaTraining, GradientsAreTheCpusUpToRounding) {
  for (const Parameter p : {Parameter::cbf, Parameter::mtt})
    for (const std::size_t samples : {50u, 1u, 17u}) {
      const Sets sets(p, samples);
      Recipe recipe = paper(p);
      recipe.epochs = 1;
      recipe.batch = 100;
      const auto expected = train(recipe, sets.train, sets.validate), found = alone(recipe, sets);
      // Float sums of up to 750 rows in another order: 1e-5 relative leaves a margin of ten.
      expect_near(p, found.state.optimiser.velocity, expected.state.optimiser.velocity, 1e-5);
      EXPECT_NEAR(found.epochs[0].training_loss, expected.epochs[0].training_loss,
                  1e-6 * expected.epochs[0].training_loss);
      EXPECT_NEAR(found.epochs[0].validation_loss, expected.epochs[0].validation_loss,
                  1e-5 * expected.epochs[0].validation_loss);
      EXPECT_NEAR(found.epochs[0].gradient_norm, expected.epochs[0].gradient_norm,
                  1e-5 * expected.epochs[0].gradient_norm);
      EXPECT_EQ(found.epochs[0].learning_rate, expected.epochs[0].learning_rate);
    }
}

TEST(CudaTraining, EveryVariationOfTheSamplesIsTheCpus) {
  for (const Parameter p : {Parameter::cbf, Parameter::cbv, Parameter::tmax}) {
    const Sets sets(p, 60);
    Recipe recipe = modern(p);
    recipe.epochs = 1;
    const auto expected = train(recipe, sets.train, sets.validate), found = alone(recipe, sets);
    expect_near(p, found.state.optimiser.velocity, expected.state.optimiser.velocity, 1e-5);
    expect_near(p, found.state.optimiser.square, expected.state.optimiser.square, 1e-4);
    EXPECT_NEAR(found.epochs[0].training_loss, expected.epochs[0].training_loss,
                1e-6 * expected.epochs[0].training_loss);
    for (std::size_t i = 0; i < found.tensors.size(); ++i) EXPECT_EQ(found.tensors[i].name, expected.tensors[i].name);
  }
}

TEST(CudaTraining, AFewEpochsGoAsOnTheCpu) {
  for (const auto& recipe :
       {shorter(paper(Parameter::mtt), 25), shorter(paper(Parameter::cbf), 25), shorter(modern(Parameter::mtt), 25)}) {
    const Sets sets(recipe.parameter, 40);
    const auto expected = train(recipe, sets.train, sets.validate), found = alone(recipe, sets);
    ASSERT_EQ(found.epochs.size(), 3u);
    for (std::size_t e = 0; e < 3; ++e) {
      EXPECT_EQ(found.epochs[e].epoch, expected.epochs[e].epoch);
      EXPECT_EQ(found.epochs[e].learning_rate, expected.epochs[e].learning_rate);
      // Six steps amplify the rounding a little.
      EXPECT_NEAR(found.epochs[e].training_loss, expected.epochs[e].training_loss,
                  1e-3 * expected.epochs[e].training_loss);
      EXPECT_NEAR(found.epochs[e].validation_loss, expected.epochs[e].validation_loss,
                  1e-3 * expected.epochs[e].validation_loss);
    }
    EXPECT_EQ(found.epoch_of_weights, expected.epoch_of_weights);
    EXPECT_EQ(found.state.optimiser.steps, expected.state.optimiser.steps);
    EXPECT_LT(found.epochs[2].training_loss, found.epochs[0].training_loss);
  }
}

void expect_equal(const TrainingResult& a, const TrainingResult& b) {
  EXPECT_EQ(a.state.weights, b.state.weights);
  EXPECT_EQ(a.state.best_weights, b.state.best_weights);
  EXPECT_EQ(a.state.optimiser, b.state.optimiser);
  EXPECT_EQ(a.state.plateau, b.state.plateau);
  ASSERT_EQ(a.epochs.size(), b.epochs.size());
  for (std::size_t e = 0; e < a.epochs.size(); ++e) {
    EXPECT_EQ(a.epochs[e].training_loss, b.epochs[e].training_loss);
    EXPECT_EQ(a.epochs[e].validation_loss, b.epochs[e].validation_loss);
  }
}

TEST(CudaTraining, ANetworksBitsDoNotDependOnItsCompany) {
  Recipe first = paper(Parameter::mtt), second = paper(Parameter::cbf), third = modern(Parameter::mtt);
  first.epochs = 2;
  second.epochs = third.epochs = 1;
  first.batch = second.batch = third.batch = 16;
  const Sets few(Parameter::mtt, 20), many(Parameter::cbf, 35, 260), other(Parameter::mtt, 17, 0);
  const auto together = on_host({job(first, few), job(second, many), job(third, other)});
  for (const auto& outcome : together) ASSERT_EQ(outcome.failure, nullptr);
  expect_equal(together[0].result, alone(first, few));
  expect_equal(together[1].result, alone(second, many));
  EXPECT_TRUE(std::isnan(together[2].result.epochs[0].validation_loss));
  EXPECT_EQ(together[2].result.state.weights, alone(third, other).state.weights);
}

TEST(CudaTraining, AStoppedTrainingGoesOnWithTheSameBits) {
  Recipe longer = paper(Parameter::mtt);
  longer.batch = 4;
  longer.epochs = 2;
  const Sets sets(Parameter::mtt, 18, 5);  // five steps in an epoch, three at once
  int asked = 0;
  auto stopping = job(longer, sets);
  stopping.hooks.stop = [&] { return ++asked == 2; };
  const auto part = on_host({stopping}).front();
  ASSERT_EQ(part.failure, nullptr);
  EXPECT_TRUE(part.result.stopped);
  EXPECT_EQ(part.result.state.steps_of_epoch, 3);
  auto rest = job(longer, sets);
  rest.resume = part.result.state;
  const auto resumed = on_host({rest}).front();
  expect_equal(resumed.result, alone(longer, sets));
  // The CPU takes the state, too.
  const auto on_cpu = train(longer, sets.train, sets.validate, {}, part.result.state);
  EXPECT_EQ(on_cpu.state.optimiser.steps, resumed.result.state.optimiser.steps);
  EXPECT_NEAR(on_cpu.epochs[0].training_loss, resumed.result.epochs[0].training_loss,
              1e-2 * on_cpu.epochs[0].training_loss);
}

TEST(CudaTraining, OneThatDivergesLeavesTheOthersAlone) {
  Recipe wild = paper(Parameter::mtt), good = paper(Parameter::mtt);
  wild.learning_rate = 1e10;
  good.epochs = 2;
  wild.batch = good.batch = 10;
  const Sets sets(Parameter::mtt, 30, 10);
  int told = 0;
  auto watched = job(good, sets);
  watched.hooks.on_epoch = [&](const EpochRecord& epoch, const TrainingState& state) {
    EXPECT_EQ(epoch.epoch, ++told);
    EXPECT_EQ(static_cast<int>(state.epochs.size()), told);
  };
  const auto outcomes = on_host({job(wild, sets), watched});
  ASSERT_NE(outcomes[0].failure, nullptr);
  try {
    std::rethrow_exception(outcomes[0].failure);
  } catch (const TaskFailure& failure) {
    EXPECT_NE(std::string(failure.what()).find("of epoch 1"), std::string::npos) << failure.what();
    EXPECT_NE(std::string(failure.what()).find("lower training.learning_rate"), std::string::npos) << failure.what();
  }
  EXPECT_EQ(told, 2);
  expect_equal(outcomes[1].result, alone(good, sets));
}

TEST(CudaTraining, AnAifThatCannotBeScaledFailsItsOwnNetworkAlone) {
  Recipe recipe = paper(Parameter::mtt);
  recipe.epochs = 1;
  Sets sets(Parameter::mtt, 20), bad(Parameter::mtt, 20);
  std::fill(bad.training.aifs.begin(), bad.training.aifs.end(), 0.0f);
  const auto outcomes = on_host({job(recipe, bad), job(recipe, sets)});
  EXPECT_THROW(std::rethrow_exception(outcomes[0].failure), InputError);
  expect_equal(outcomes[1].result, alone(recipe, sets));
}

TEST(CudaTraining, AnOperationThatFailsIsNamed) {
  auto table = gpu::host_training_table();
  table.run = [](gpu::TrainingSession&, int) { return std::string("cudaGraphLaunch: broken"); };
  const Recipe recipe = paper(Parameter::mtt);
  const Sets sets(Parameter::mtt, 20);
  try {
    train_together({job(recipe, sets)}, {1}, table, 3);
    ADD_FAILURE();
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("GPU 1, training: cudaGraphLaunch: broken"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace perfpipe
