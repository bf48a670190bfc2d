// The error as the last line on the terminal, below whatever the launcher prints when a job is aborted.
#pragma once

#include <string>

namespace perfpipe {

/// Says `text` on the standard error. Under mpirun on this machine a small child process stays behind for it and writes
/// once mpirun has ended: what a rank writes right before it aborts is often lost (Open MPI 4.1 does not wait for it),
/// and mpirun's own words about an aborted job would come after it. Call it right before aborting.
void leave_last_words(const std::string& text);

}  // namespace perfpipe
