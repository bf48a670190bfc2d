// All kinds of stages that a job may name. The body is generated from the list in stages/CMakeLists.txt.
#pragma once

#include "core/stage.hpp"

#include <vector>

namespace perfpipe {

std::vector<StageType> all_stage_types();

}  // namespace perfpipe
