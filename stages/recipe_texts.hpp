// The text of configs/recipes/*.yaml, compiled in by the CMakeLists.txt there.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace perfpipe {

std::vector<std::pair<std::string_view, std::string_view>> recipe_texts();

}  // namespace perfpipe
