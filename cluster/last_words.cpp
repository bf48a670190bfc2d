#include "cluster/last_words.hpp"

#include <ctime>
#include <signal.h>
#include <unistd.h>

namespace perfpipe {

void leave_last_words(const std::string& text) {
  const pid_t parent = ::getpid();
  if (::fork() != 0) return;
  // Child of a process with threads: async-signal-safe calls only from here on.
  ::setsid();
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  const timespec pause{0, 10'000'000};
  for (int i = 0; i < 300 && ::getppid() == parent; ++i) ::nanosleep(&pause, nullptr);
  const timespec banner{0, 200'000'000};  // the launcher's own words come within some milliseconds of the end
  ::nanosleep(&banner, nullptr);
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data() + at, text.size() - at);
    if (written <= 0) break;
    at += static_cast<std::size_t>(written);
  }
  ::_exit(0);
}

}  // namespace perfpipe
