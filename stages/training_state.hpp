// The state of a training in the store, to go on from.
#pragma once

#include "core/stage.hpp"
#include "model/training.hpp"

#include <optional>
#include <string>

namespace perfpipe {

/// Epoch by epoch: learning rate, losses, gradient norm.
DatasetSpec epochs_spec();

/// Writes the state's arrays (epochs among them) and sets it as the artifact's metadata `state`; returns the metadata.
nlohmann::json write_state(ArtifactWriter& writer, const TrainingState& state);

/// Throws IoError if the artifact does not hold what write_state() wrote.
TrainingState read_state(const ArtifactReader& artifact);

/// The state of this key that has come farthest, but not beyond `epochs`; the group's first rank chooses for all.
std::optional<TrainingState> resumable_state(const StageContext& context, const std::string& key, std::int64_t epochs);

}  // namespace perfpipe
