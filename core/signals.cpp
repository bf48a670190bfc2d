#include "core/signals.hpp"

#include <atomic>
#include <csignal>

namespace perfpipe {
namespace {

// A signal handler can reach nothing but an object of static storage.
std::atomic<bool> received{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int signal) {
  if (!received.exchange(true) || signal != SIGINT) return;
  std::signal(SIGINT, SIG_DFL);
  ::raise(SIGINT);  // ends the program as soon as this handler is left
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGINT, SIGTERM, SIGUSR1}) ::sigaction(signal, &action, nullptr);
}

bool stop_signal_received() { return received; }

}  // namespace perfpipe
