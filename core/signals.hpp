// Requests to stop: SIGINT, SIGTERM and SIGUSR1 set a flag that long work looks at.
#pragma once

namespace perfpipe {

/// From now on the three signals set the flag instead of ending the program; a second SIGINT ends it.
void catch_stop_signals();
bool stop_signal_received();

}  // namespace perfpipe
