// What `perfpipe stages` prints.
#pragma once

#include <string>

namespace perfpipe {

/// Prints every stage (or the named one) with its scope, ports and options. False, with a message, if there is no such.
bool print_stages(const std::string& only);

}  // namespace perfpipe
