#include "model/training_member.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace perfpipe {
namespace {

gpu::SampleSetSource set_source(const PatchSet& set, const Batches& batches) {
  return {set.curves.data(),
          set.curves.size() / static_cast<std::size_t>(curve_samples),
          set.neighbours.data(),
          set.patient.data(),
          set.targets.data(),
          set.aifs.data(),
          batches.factors().data(),
          static_cast<int>(set.samples()),
          static_cast<int>(batches.factors().size())};
}

}  // namespace

TrainingMember::TrainingMember(TrainingJob job)
    : job_(std::move(job)),
      training_(*job_.training, recipe().parameter, recipe().input_scale),
      validation_(*job_.validation, recipe().parameter, recipe().input_scale),
      books_(recipe(), *job_.training, *job_.validation, recipe().tissue_scale > 0.0 ? training_.tissue_peak() : 0.0,
             std::move(job_.resume)) {}

gpu::NetworkSource TrainingMember::source() {
  const auto parameter = recipe().parameter;
  const auto& state = books_.state();
  gpu::NetworkSource source;
  source.pooled = architecture_of(parameter) == Architecture::max_pool;
  source.adam = recipe().optimiser == OptimiserKind::adam;
  source.batch = static_cast<int>(std::min(recipe().batch, static_cast<std::int64_t>(job_.training->samples())));
  source.tissue_gain = static_cast<float>(books_.tissue_gain());
  source.target_mean = books_.targets().mean;
  source.target_scale = books_.targets().scale;
  if (parameter == Parameter::cbf || parameter == Parameter::cbv) source.saturation = facts(parameter).paper_maximum;
  const double kept = source.adam ? 1.0 - recipe().momentum : 1.0 - recipe().dampening;
  source.keep = static_cast<float>(recipe().momentum);
  source.take = static_cast<float>(kept);
  source.keep_square = static_cast<float>(adam_beta2);
  source.take_square = static_cast<float>(1.0 - adam_beta2);
  source.weights = state.weights.data();
  if (!state.optimiser.velocity.empty()) source.velocity = state.optimiser.velocity.data();
  if (!state.optimiser.square.empty()) source.square = state.optimiser.square.data();
  source.training = set_source(*job_.training, training_);
  source.validation = set_source(*job_.validation, validation_);
  return source;
}

gpu::EpochSource TrainingMember::epoch() {
  const auto& state = books_.state();
  const auto order = epoch_order(job_.training->samples(), recipe().seed, recipe().stream, books_.epoch());
  const auto batch = static_cast<std::size_t>(recipe().batch);
  const std::size_t patients = training_.factors().size();
  gpu::EpochSource epoch;
  epoch.order.assign(order.begin(), order.end());
  for (std::size_t s = 0; s < books_.steps_of_epoch(); ++s) {
    const std::span<const std::size_t> samples(order.data() + s * batch, std::min(batch, order.size() - s * batch));
    const std::int64_t n = state.optimiser.steps + static_cast<std::int64_t>(s) - state.steps_of_epoch;
    const double rate = books_.learning_rate(n);
    const auto adam = adam_rate(rate, recipe().momentum, n + 1);
    const bool is_adam = recipe().optimiser == OptimiserKind::adam;
    epoch.rates.push_back(is_adam ? adam.rate : static_cast<float>(rate));
    epoch.rates.push_back(is_adam ? adam.floor : 0.0f);
    vary(epoch, samples, s, patients);
  }
  epoch.start.step = static_cast<int>(state.steps_of_epoch);
  epoch.start.steps = static_cast<int>(books_.steps_of_epoch());
  epoch.start.optimised = static_cast<int>(state.optimiser.steps);
  epoch.start.bad_step = -1;
  epoch.start.loss = books_.record().training_loss;
  epoch.start.norm = books_.record().gradient_norm;
  return epoch;
}

bool TrainingMember::follow(const gpu::Progress& progress) {
  auto& state = books_.state();
  if (progress.bad_step >= 0) {
    state.optimiser.steps += progress.bad_step - state.steps_of_epoch;
    books_.diverged("the loss or the gradient is not finite",
                    books_.where(static_cast<std::size_t>(progress.bad_step)));
  }
  state.optimiser.steps = progress.optimised;
  state.steps_of_epoch = progress.step;
  books_.record().epoch = books_.epoch();
  books_.record().training_loss = progress.loss;
  books_.record().gradient_norm = progress.norm;
  if (progress.step > 0) books_.record().learning_rate = books_.learning_rate(state.optimiser.steps - 1);
  return progress.step < progress.steps;
}

void TrainingMember::vary(gpu::EpochSource& epoch, std::span<const std::size_t> samples, std::size_t step,
                          std::size_t patients) {
  if (!recipe().symmetries && recipe().gain <= 1.0 && recipe().shift == 0) return;
  // Shifts are drawn for the patients of the mini-batch alone, in their order.
  std::vector<bool> chosen(patients);
  for (const auto s : samples) chosen[static_cast<std::size_t>(job_.training->patient[s])] = true;
  const Augmentation drawn(recipe(), books_.epoch(), step, samples.size(),
                           static_cast<std::size_t>(std::count(chosen.begin(), chosen.end(), true)));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (recipe().symmetries) epoch.symmetries.push_back(drawn.which_symmetry(i));
    if (recipe().gain > 1.0) epoch.gains.push_back(drawn.gain(i));
  }
  if (recipe().shift == 0) return;
  std::size_t row = 0;
  for (std::size_t p = 0; p < patients; ++p)
    epoch.shifts.push_back(static_cast<signed char>(chosen[p] ? drawn.shift(row++) : 0));
}

}  // namespace perfpipe
