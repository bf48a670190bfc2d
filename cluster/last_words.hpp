// The error as the last line on the terminal, below whatever the launcher prints when a job is aborted.
#pragma once

#include <string>

namespace perfpipe {

/// Leaves a small child process behind that writes `text` to the standard error once this process has ended. mpirun
/// prints its own banner about an aborted job and waits for the standard error of its ranks to close: the user's last
/// line is then ours. Call it right before aborting.
void leave_last_words(const std::string& text);

}  // namespace perfpipe
