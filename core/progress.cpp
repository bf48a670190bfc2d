#include "core/progress.hpp"

#include <unistd.h>

#include <fmt/format.h>

namespace perfpipe {

Progress::Progress(std::size_t tasks, double total_cost, std::FILE* out)
    : out_(out),
      terminal_(::isatty(::fileno(out)) == 1),
      tasks_(tasks),
      total_cost_(total_cost),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (terminal_ && done_ > 0) put("\r\x1b[K");
}

void Progress::put(const std::string& text) {
  // Unchecked, where fmt::print would throw: a full disk or a closed terminal must not end the job through its
  // progress.
  std::fputs(text.c_str(), out_);
  std::fflush(out_);
}

std::string Progress::time_left() const {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (done_cost_ <= 0.0 || done_ == tasks_) return "";
  const auto left = static_cast<long>(seconds * (total_cost_ - done_cost_) / done_cost_ + 0.5);
  return fmt::format(", about {}:{:02d} left", left / 60, left % 60);
}

void Progress::show_terminal_line() {
  std::string running;
  for (const auto& [rank, task] : running_) running += (running.empty() ? "" : ", ") + task;
  if (running.size() > 70) running = running.substr(0, 67) + "...";
  put(fmt::format("\r\x1b[K[{}/{}] {:.0f} %{}: {}", done_, tasks_,
                  total_cost_ > 0 ? 100.0 * done_cost_ / total_cost_ : 100.0, time_left(), running));
}

void Progress::started(const std::string& task, int rank) {
  running_[rank] = task;
  if (terminal_) show_terminal_line();
}

void Progress::finished(const std::string& task, int rank, double seconds, double cost, const std::string& note) {
  running_.erase(rank);
  ++done_;
  done_cost_ += cost;
  if (terminal_) put("\r\x1b[K");
  if (!terminal_ || seconds >= 1.0 || !note.empty())
    put(fmt::format("[{}/{}] {} ({:.1f} s on rank {}){}{}\n", done_, tasks_, task, seconds, rank,
                    note.empty() ? "" : ": " + note, time_left()));
  if (terminal_) show_terminal_line();
}

}  // namespace perfpipe
