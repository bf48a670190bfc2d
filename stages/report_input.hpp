// Reads what the report shows of each patient and training from the store.
#pragma once

#include "core/stage.hpp"
#include "stages/report_sections.hpp"

#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// The artifact of a task among the inputs of a port, if that task did not fail.
std::optional<ArtifactReader> open_input(StageContext& context, const std::string& port, const std::string& task);

/// Maps, masks, AIF and facts of one series that was imported: of `slices` slices that show it, and of the one with
/// most of the AIF's voxels.
PatientView read_patient_view(StageContext& context, const Series& series, std::int64_t slices);

}  // namespace perfpipe
