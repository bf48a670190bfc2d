#include "core/error.hpp"

namespace perfpipe {

void Findings::throw_if_any(ExitCode code) const {
  if (lines_.empty()) return;
  std::string message;
  for (const auto& line : lines_) message += (message.empty() ? "" : "\n") + line;
  throw Error(code, message);
}

}  // namespace perfpipe
