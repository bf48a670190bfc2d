// The values of a series between the checks before a run and its import, so that a job of one patient reads it once.
#pragma once

#include "core/raw_values.hpp"

#include <filesystem>
#include <optional>

namespace perfpipe {

/// Keeps the values (x fastest after time: as NiftiReader::read_slab gives all slices) of the series that was read last
/// on this rank; those kept before are dropped.
void keep_series(const std::filesystem::path& image, RawValues<float> values);

/// Gives them away if they are this series', and drops them if not: nothing is held through a run.
std::optional<RawValues<float>> take_kept_series(const std::filesystem::path& image);

}  // namespace perfpipe
