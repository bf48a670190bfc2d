#include "cluster/last_words.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace perfpipe {
namespace {

/// How long a launcher may take to end the other ranks.
constexpr int patience_ms = 20000;

void write_all(int file, const std::string& text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t written = ::write(file, text.data() + at, text.size() - at);
    if (written <= 0) return;
    at += static_cast<std::size_t>(written);
  }
}

/// The process that started this rank, if it is the launcher itself (and not its daemon on another machine, or
/// Slurm's).
bool started_by_launcher(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/comm");
  std::string name;
  std::getline(file, name);
  return name.starts_with("mpirun") || name.starts_with("mpiexec") || name.starts_with("orterun");
}

}  // namespace

void leave_last_words(const std::string& text) {
  const pid_t launcher = ::getppid();
  const std::string terminal = "/proc/" + std::to_string(launcher) + "/fd/2";
  // Opened anew, since the rank's own standard error is a pipe that ends with the launcher.
  const int out =
      started_by_launcher(launcher) ? ::open(terminal.c_str(), O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC) : -1;
  const int end = out < 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, launcher, 0));
  int ready[2] = {-1, -1};
  const pid_t child = end < 0 || ::pipe2(ready, O_CLOEXEC) != 0 ? -1 : ::fork();
  if (child < 0) return write_all(STDERR_FILENO, text);
  if (child > 0) {
    // Until the child has left this rank's process group mpirun would kill it with the group: now and then it
    // did. The child closes its end of the pipe when it has.
    char nothing = 0;
    ::close(ready[1]);
    while (::read(ready[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    ::close(ready[0]);
    return;
  }
  // Child of a process with threads: async-signal-safe calls only from here on.
  ::setsid();
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  // Of the rank's files it keeps none: mpirun must see them close.
  ::dup2(end, STDIN_FILENO);
  ::dup2(out, STDERR_FILENO);
  ::close(STDOUT_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  pollfd launcher_ended{STDIN_FILENO, POLLIN, 0};
  ::poll(&launcher_ended, 1, patience_ms);
  write_all(STDERR_FILENO, text);
  ::_exit(0);
}

}  // namespace perfpipe
