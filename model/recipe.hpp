// How a network is trained, as data. The numbers of a recipe stand in configs/recipes/*.yaml.
#pragma once

#include "core/parameters.hpp"

#include <cstdint>
#include <string>

namespace perfpipe {

enum class OptimiserKind { sgd, adam };
enum class Schedule {
  plateau,   ///< divided when the validation error stops improving, and by 1 + n decay (the paper's)
  one_cycle  ///< linear warm-up to the learning rate, then half a cosine to zero at the last step
};

/// A recipe for one parameter's network. The defaults that do not depend on the parameter are the paper's (V.B).
struct Recipe {
  std::string name = "paper";
  Parameter parameter = Parameter::cbf;  ///< decides the architecture
  std::int64_t batch = 50;
  std::int64_t epochs = 10;
  OptimiserKind optimiser = OptimiserKind::sgd;
  double learning_rate = 0.0;
  double momentum = 0.9;   ///< of SGD; of Adam the decay of the mean
  double dampening = 0.9;  ///< of SGD: Torch7's default, equal to the momentum
  Schedule schedule = Schedule::plateau;
  double decay = 0.0;                 ///< rate = learning_rate / (1 + n decay), n the mini-batches so far
  double plateau_factor = 0.1;        ///< the rate is multiplied by it when the validation error stops improving ...
  std::int64_t plateau_times = 3;     ///< ... this many times at most ...
  std::int64_t plateau_patience = 1;  ///< ... after this many epochs in a row without a new best at the current rate
  double warm_up = 0.1;               ///< part of all steps in which one_cycle rises
  double input_scale = 0.0;           ///< see model/scaling.hpp
  double tissue_scale = 0.0;  ///< tissue curves are scaled further so that the 99th percentile of the training samples'
                              ///< peaks lies here; 0: they keep the AIF's scale
  bool standardise = false;   ///< the network learns (target - mean) / SD of the training targets
  bool symmetries = false;    ///< each patch is mirrored and turned anew in each epoch: eight ways, drawn evenly
  double gain = 1.0;          ///< tissue curves are multiplied by a factor from [1 / gain, gain], CBF and CBV with them
  std::int64_t shift = 0;  ///< both curves of a patient are moved by up to this many samples, in each mini-batch anew
  bool keep_last = false;  ///< the weights of the last epoch, not those of the lowest validation error
  std::uint64_t seed = 1;
  std::string stream;  ///< names this training ("fold-sub-03/cbf"): its initial weights and shuffles are its own
};

/// Throws std::invalid_argument if a number is out of its range.
void check_recipe(const Recipe& recipe);

/// The learning rate of step `n` (from 0) of `steps` under one_cycle.
double one_cycle_rate(const Recipe& recipe, std::int64_t n, std::int64_t steps);

}  // namespace perfpipe
