// Training recipes: blocks of YAML whose keys are the training stage's options (configs/recipes/).
#pragma once

#include "core/config.hpp"
#include "core/error.hpp"

#include <string>
#include <vector>

namespace perfpipe {

/// Names of the recipes that come with the program.
std::vector<std::string> recipe_names();

/// Adds to the options of a training stage what its `recipe` says (a name, or a YAML file; "paper" where none is given)
/// and the options do not; of a value for each parameter those that are not given. Wrong recipes become findings.
void complete_from_recipe(ConfigNode& options, Findings& findings);

}  // namespace perfpipe
