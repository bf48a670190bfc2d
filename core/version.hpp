// The program's version.
#pragma once

#include <string_view>

namespace perfpipe {

inline constexpr std::string_view version = PERFPIPE_VERSION;

}  // namespace perfpipe
