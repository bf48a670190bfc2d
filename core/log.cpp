#include "core/log.hpp"

#include "core/error.hpp"

#include <chrono>
#include <ctime>
#include <unistd.h>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace perfpipe {

struct Log::Impl {
  int rank = 0;
  std::unique_ptr<spdlog::logger> terminal;
  std::unique_ptr<spdlog::logger> file;

  void line(const char* level, const std::string& message) {
    if (file) write({{"level", level}, {"message", message}});
  }
  void write(nlohmann::json fields) {
    const auto now = std::chrono::system_clock::now();
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    fields["time"] =
        fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03d}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)), millis);
    fields["rank"] = rank;
    file->info(fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
};

Log::Log(int rank) : impl_(std::make_unique<Impl>()) {
  impl_->rank = rank;
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  impl_->terminal = std::make_unique<spdlog::logger>("terminal", sink);
  // On a terminal a log line takes the place of the progress line, which is drawn again below it.
  const std::string clear_line = ::isatty(STDERR_FILENO) == 1 ? "\r\x1b[K" : "";
  impl_->terminal->set_pattern(clear_line +
                               (rank == 0 ? "%H:%M:%S %^%l%$ %v" : fmt::format("%H:%M:%S %^%l%$ [rank {}] %v", rank)));
  if (rank != 0) impl_->terminal->set_level(spdlog::level::warn);
}
Log::~Log() = default;

void Log::open(const std::filesystem::path& folder) {
  const auto path = folder / fmt::format("rank-{:03d}.jsonl", impl_->rank);
  try {
    std::filesystem::create_directories(folder);
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    impl_->file = std::make_unique<spdlog::logger>("file", sink);
  } catch (const std::exception& error) {
    throw IoError(path.string() + ": the log cannot be opened: " + error.what());
  }
  impl_->file->set_pattern("%v");
  impl_->file->flush_on(spdlog::level::info);
  // A full disk must not end the job through its log: the store says so where it matters.
  impl_->file->set_error_handler([](const std::string&) {});
}

void Log::info(const std::string& message) {
  impl_->terminal->info(message);
  impl_->line("info", message);
}
void Log::warn(const std::string& message) {
  impl_->terminal->warn(message);
  impl_->line("warning", message);
}
void Log::error(const std::string& message) {
  impl_->terminal->error(message);
  impl_->line("error", message);
}
void Log::event(const std::string& name, const nlohmann::json& fields) {
  if (!impl_->file) return;
  nlohmann::json line = fields;
  line["event"] = name;
  impl_->write(std::move(line));
}
int Log::rank() const { return impl_->rank; }

}  // namespace perfpipe
