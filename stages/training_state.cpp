#include "stages/training_state.hpp"

#include <cmath>

namespace perfpipe {
namespace {

using nlohmann::json;

DatasetSpec flat_spec(const std::string& name) {
  return {name, {"weight"}, "1", ElementType::float32, "state of the training"};
}

// JSON has no infinity.
json number_or_null(double x) { return std::isfinite(x) ? json(x) : json(nullptr); }
double number_from(const json& value, double otherwise) { return value.is_null() ? otherwise : value.get<double>(); }

std::vector<float> read_flat(const ArtifactReader& artifact, const std::string& name) {
  return artifact.has(name) ? artifact.read<float>(name) : std::vector<float>();
}

}  // namespace

DatasetSpec epochs_spec() {
  return {"epochs",
          {"epoch", "field"},
          "1",
          ElementType::float64,
          "learning rate, training loss, validation loss, gradient norm"};
}

json write_state(ArtifactWriter& writer, const TrainingState& state) {
  const auto flat = [&](const std::string& name, const std::vector<float>& values) {
    if (!values.empty()) writer.write<float>(flat_spec(name), {static_cast<std::int64_t>(values.size())}, values);
  };
  flat("weights", state.weights);
  flat("best_weights", state.best_weights);
  flat("velocity", state.optimiser.velocity);
  flat("square", state.optimiser.square);
  std::vector<double> table;
  for (const auto& e : state.epochs)
    table.insert(table.end(), {e.learning_rate, e.training_loss, e.validation_loss, e.gradient_norm});
  if (!table.empty()) writer.write<double>(epochs_spec(), {static_cast<std::int64_t>(state.epochs.size()), 4}, table);
  const auto& part = state.unfinished;
  json metadata{{"state",
                 {{"steps", state.optimiser.steps},
                  {"steps_of_epoch", state.steps_of_epoch},
                  {"epoch_of_weights", state.epoch_of_weights},
                  {"best", number_or_null(state.best)},
                  {"unfinished", {part.epoch, part.learning_rate, part.training_loss, part.gradient_norm}},
                  {"plateau",
                   {{"multiplier", state.plateau.multiplier},
                    {"best", number_or_null(state.plateau.best)},
                    {"without_best", state.plateau.without_best},
                    {"times_used", state.plateau.times_used}}}}}};
  writer.set_metadata(metadata);
  return metadata;
}

TrainingState read_state(const ArtifactReader& artifact) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  TrainingState state;
  try {
    const json& facts = artifact.metadata().at("state");
    state.weights = read_flat(artifact, "weights");
    state.best_weights = read_flat(artifact, "best_weights");
    state.optimiser = {facts.at("steps"), read_flat(artifact, "velocity"), read_flat(artifact, "square")};
    if (artifact.has("epochs")) {
      const auto table = artifact.read<double>("epochs");
      for (std::size_t i = 0; i + 4 <= table.size(); i += 4)
        state.epochs.push_back(
            {static_cast<std::int64_t>(i / 4) + 1, table[i], table[i + 1], table[i + 2], table[i + 3]});
    }
    state.steps_of_epoch = facts.at("steps_of_epoch");
    state.epoch_of_weights = facts.at("epoch_of_weights");
    state.best = number_from(facts.at("best"), infinity);
    const json& part = facts.at("unfinished");
    state.unfinished.epoch = part.at(0);
    state.unfinished.learning_rate = part.at(1);
    state.unfinished.training_loss = part.at(2);
    state.unfinished.gradient_norm = part.at(3);
    const json& plateau = facts.at("plateau");
    state.plateau = {plateau.at("multiplier"), number_from(plateau.at("best"), infinity), plateau.at("without_best"),
                     plateau.at("times_used")};
  } catch (const json::exception& error) {
    throw IoError(artifact.path().string() + ": not the state of a training: " + error.what());
  }
  return state;
}

std::optional<TrainingState> resumable_state(const StageContext& context, const std::string& key, std::int64_t epochs) {
  const auto artifacts = context.saved_states(key);
  std::optional<TrainingState> best;
  int choice = -1;
  for (std::size_t i = 0; i < artifacts.size(); ++i) {
    auto state = read_state(artifacts[i]);
    if (static_cast<std::int64_t>(state.epochs.size()) > epochs) continue;
    if (best && state.optimiser.steps <= best->optimiser.steps) continue;
    best = std::move(state);
    choice = static_cast<int>(i);
  }
  if (context.group() == nullptr) return best;
  const int agreed = std::stoi(context.group()->broadcast(std::to_string(choice), 0, "the state to go on from"));
  if (agreed < 0) return std::nullopt;
  if (agreed >= static_cast<int>(artifacts.size()))
    throw IoError(context.task().id() +
                  ": this rank does not see the saved state that the first of its group sees; "
                  "the output folder must be one file system for all ranks");
  return read_state(artifacts[static_cast<std::size_t>(agreed)]);
}

}  // namespace perfpipe
