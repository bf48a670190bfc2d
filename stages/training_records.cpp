#include "stages/training_records.hpp"

#include "model/bicnn.hpp"
#include "stages/maps.hpp"

#include <algorithm>
#include <cmath>

namespace perfpipe {
namespace {

void read_filters(const ArtifactReader& reader, const std::string& source, TrainingView& t) {
  const auto raw = reader.read<std::uint8_t>("network");
  t.taps = filter_samples;
  for (auto& tensor : parse_safetensors({reinterpret_cast<const char*>(raw.data()), raw.size()}, source).tensors) {
    if (tensor.name == "ctc.conv1.weight")
      t.tissue_filters = std::move(tensor.values);
    else if (tensor.name == "aif.conv1.weight")
      t.aif_filters = std::move(tensor.values);
  }
}

void read_epochs(const ArtifactReader& reader, TrainingView& t) {
  const auto epochs = reader.read<double>("epochs");
  const auto fields = static_cast<std::size_t>(reader.dims("epochs").at(1));
  for (std::size_t i = 0; i + 3 < epochs.size(); i += fields) {
    t.learning_rate.push_back(epochs[i]);
    t.training_loss.push_back(epochs[i + 1]);
    t.validation_loss.push_back(epochs[i + 2]);
    t.gradient_norm.push_back(epochs[i + 3]);
  }
}

/// Variance of the validation targets that the fold's binning drew.
std::optional<double> constant_loss(StageContext& context, const TaskInfo& training) {
  for (const auto& input : context.store().inputs("validation_draws")) {
    if (input.task.held_out != training.held_out || input.task.parameter != training.parameter) continue;
    const auto drawn = context.store().open(input).metadata().value("validation", nlohmann::json::object());
    if (drawn.contains("target_sd")) return std::pow(drawn.at("target_sd").get<double>(), 2.0);
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> TrainingView::best_validation_loss() const {
  std::optional<double> best;
  for (const double loss : validation_loss)
    if (std::isfinite(loss) && (!best || loss < *best)) best = loss;
  return best;
}

bool TrainingView::collapsed() const {
  const auto best = best_validation_loss();
  return best && constant_loss && *best >= 0.95 * *constant_loss && *constant_loss > 0.0;
}

std::vector<ReadPort> training_ports() {
  return {{network_spec(), "", true, true}, {draws_spec("validation"), "", false, true}};
}

std::vector<TrainingView> read_trainings(StageContext& context, bool with_filters) {
  std::vector<TrainingView> trainings;
  for (const auto& input : context.store().inputs("network")) {
    const auto reader = context.store().open(input);
    if (!reader.has("epochs")) continue;
    const auto& meta = reader.metadata();
    TrainingView t;
    t.stage = input.task.stage;
    t.held_out = input.task.held_out;
    t.parameter = input.task.parameter;
    t.recipe = meta.at("recipe");
    t.epochs = meta.at("epochs");
    t.samples = meta.at("samples");
    t.epoch_of_weights = meta.at("epoch_of_weights");
    if (const auto made_from = reader.made_from(); made_from.is_object() && made_from.contains("seed"))
      t.seed = made_from.at("seed").get<std::uint64_t>();
    t.constant_loss = constant_loss(context, input.task);
    read_epochs(reader, t);
    const bool first = std::none_of(trainings.begin(), trainings.end(),
                                    [&](const auto& known) { return known.parameter == t.parameter; });
    if (with_filters && first) read_filters(reader, input.file.string(), t);
    trainings.push_back(std::move(t));
  }
  for (const auto& failed : context.store().failed())
    if (failed.port == "network") {
      TrainingView t;
      t.stage = failed.task.stage;
      t.held_out = failed.task.held_out;
      t.parameter = failed.task.parameter;
      t.failure = failed.reason;
      trainings.push_back(std::move(t));
    }
  std::stable_sort(trainings.begin(), trainings.end(), [](const TrainingView& a, const TrainingView& b) {
    return std::tie(a.held_out, a.parameter) < std::tie(b.held_out, b.parameter);
  });
  return trainings;
}

}  // namespace perfpipe
