// Runs command lines as users do: with a time limit, captured output and signals; nothing that was started survives.
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <map>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace perfpipe {

struct CommandResult {
  int code = -1;           ///< exit code; 128 + the signal that ended it
  bool timed_out = false;  ///< it was killed at its time limit
  std::string out;
  std::string err;
  double seconds = 0.0;  ///< until the command itself had ended
};

struct CommandOptions {
  std::filesystem::path folder = ".";              ///< working directory
  std::map<std::string, std::string> environment;  ///< added to that of the test
  bool as_nobody = false;                          ///< drop root's rights, which pass over file permissions
};

/// Pids of all live processes of a session: a launcher's ranks are in process groups of their own, but in its session.
inline std::vector<pid_t> processes_of_session(pid_t session) {
  std::vector<pid_t> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(it->path() / "stat");
    std::string text;
    std::getline(file, text);
    const auto command_end = text.rfind(')');
    if (command_end == std::string::npos) continue;
    char state = 0;
    int parent = 0, group = 0, its_session = 0;
    if (std::sscanf(text.c_str() + command_end + 1, " %c %d %d %d", &state, &parent, &group, &its_session) != 4)
      continue;
    if (its_session == session && state != 'Z') found.push_back(std::stoi(name));
  }
  return found;
}

/// A started command. Its destructor kills whatever of it still runs.
class Command {
 public:
  explicit Command(std::vector<std::string> words, CommandOptions options = {}) : start_(Clock::now()) {
    int out[2], err[2];
    if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) become(words, options, out[1], err[1]);
    ::close(out[1]);
    ::close(err[1]);
    reader_ = std::thread([this, from_out = out[0], from_err = err[0]] { read_all(from_out, from_err); });
  }
  ~Command() {
    kill_all();
    if (!reaped_) ::waitpid(pid_, nullptr, 0);
    reader_.join();
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  pid_t pid() const { return pid_; }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  bool running() {
    if (reaped_) return false;
    if (::waitpid(pid_, &status_, WNOHANG) != pid_) return true;
    reaped_ = true;
    ended_after_ = seconds();
    return false;
  }
  /// To the command itself, not to what it has started.
  void signal(int number) { ::kill(pid_, number); }
  /// To the command and everything it has started.
  void kill_all(int number = SIGKILL) {
    for (const pid_t process : processes_of_session(pid_)) ::kill(process, number);
  }

  /// Waits until the command has ended and all its output is here; kills everything at `limit` seconds from the start.
  CommandResult wait(double limit = 60.0) {
    CommandResult result;
    while (running() && seconds() < limit) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (!reaped_) {
      result.timed_out = true;
      kill_all();
      ::waitpid(pid_, &status_, 0);
      reaped_ = true;
      ended_after_ = seconds();
    }
    while (!processes_of_session(pid_).empty() && seconds() < ended_after_ + 5.0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    kill_all();
    if (reader_.joinable()) reader_.join();
    reader_ = std::thread([] {});
    result.code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
    result.seconds = ended_after_;
    result.out = out_;
    result.err = err_;
    return result;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// The child's side: never returns.
  [[noreturn]] static void become(const std::vector<std::string>& words, const CommandOptions& options, int out,
                                  int err) {
    const auto give_up = [](const char* what) {
      const std::string text = std::string("test: ") + what + ": " + std::strerror(errno) + "\n";
      [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
      ::_exit(127);
    };
    ::setsid();
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    if (options.as_nobody && ::geteuid() == 0) {
      constexpr unsigned nobody = 65534;
      if (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0) give_up("setuid");
    }
    if (::chdir(options.folder.c_str()) != 0) give_up("chdir");
    for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    give_up(arguments[0]);
    ::_exit(127);
  }

  void read_all(int from_out, int from_err) {
    pollfd files[2] = {{from_out, POLLIN, 0}, {from_err, POLLIN, 0}};
    std::string* const texts[2] = {&out_, &err_};
    int open = 2;
    while (open > 0) {
      if (::poll(files, 2, -1) < 0 && errno != EINTR) break;
      for (int i = 0; i < 2; ++i) {
        if (files[i].fd < 0 || files[i].revents == 0) continue;
        char buffer[1 << 14];
        const ssize_t got = ::read(files[i].fd, buffer, sizeof buffer);
        if (got > 0) {
          texts[i]->append(buffer, static_cast<std::size_t>(got));
        } else if (got == 0 || errno != EINTR) {
          ::close(files[i].fd);
          files[i].fd = -1;
          --open;
        }
      }
    }
  }

  Clock::time_point start_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  double ended_after_ = 0.0;
  std::thread reader_;
  std::string out_, err_;
};

inline CommandResult run_command(std::vector<std::string> words, const CommandOptions& options = {},
                                 double limit = 60.0) {
  return Command(std::move(words), options).wait(limit);
}

}  // namespace perfpipe
