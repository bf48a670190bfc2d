// When the frames of a series were acquired, and with which echo time: job file, sidecar and header, in this order.
#pragma once

#include "core/cohort.hpp"
#include "core/error.hpp"
#include "formats/nifti_header.hpp"
#include "formats/sidecar.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace perfpipe {

/// Sets `times` (s, from the first frame) and `repetition_time` of the series. `given` is the job file's repetition
/// time. `sidecar` is what `read_sidecar` gave (all empty if there is no sidecar). Contradictions warn, gaps are
/// findings.
void resolve_times(Series& series, const NiftiHeader& header, const Sidecar& sidecar, std::optional<double> given,
                   Findings& findings);

/// Sets `echo_time` (s). Needed for an MR signal only; 0 otherwise.
void resolve_echo_time(Series& series, const Sidecar& sidecar, std::optional<double> given, Findings& findings);

}  // namespace perfpipe
