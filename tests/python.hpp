// Python for the tests that read perfpipe's files as others would.
#pragma once

#include <cstdlib>
#include <string>

namespace perfpipe {

/// The first Python that can import these modules ("numpy, h5py"): the PATH's, Debian's where the PATH has another
/// before it, or that of `tools/setup --tests`. "" where none can.
inline std::string python_with(const std::string& modules) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const auto cache = variable("XDG_CACHE_HOME").empty() ? variable("HOME") + "/.cache" : variable("XDG_CACHE_HOME");
  for (const std::string& python :
       {std::string("python3"), std::string("/usr/bin/python3"), cache + "/perfpipe/python/bin/python"})
    if (std::system(("'" + python + "' -c 'import " + modules + "' >/dev/null 2>&1").c_str()) == 0) return python;
  return "";
}

}  // namespace perfpipe
