#include "pipeline/output_folder.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

namespace perfpipe {
namespace fs = std::filesystem;

OutputLock::OutputLock(const fs::path& output) {
  std::error_code error;
  for (auto folder = fs::absolute(output) / "store"; !fs::exists(folder, error) && !error;
       folder = folder.parent_path())
    created_.push_back(folder);
  fs::create_directories(output / "store", error);
  if (error)
    throw IoError(fmt::format("{}: the output folder cannot be created: {}; choose another with --output",
                              output.string(), error.message()));
  path_ = output / "store" / ".lock";
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0)
    throw IoError(fmt::format("{}: the output folder is not writable: {}; choose another with --output",
                              output.string(), std::strerror(errno)));
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    throw IoError(
        fmt::format("{}: another job is writing to this output folder; wait for it or choose another with --output",
                    output.string()));
  }
}

OutputLock::~OutputLock() {
  std::error_code ignored;
  if (!created_.empty()) fs::remove(path_, ignored);
  for (const auto& folder : created_) fs::remove(folder, ignored);
  ::close(fd_);
}

void check_folders(const Job& job) {
  if (job.cohort.path.empty()) return;
  const auto output = fs::weakly_canonical(job.output), cohort = fs::weakly_canonical(job.cohort.path);
  const auto inside = [](const fs::path& inner, const fs::path& outer) {
    return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
  };
  if (inside(output, cohort) || inside(cohort, output))
    throw ConfigError(
        fmt::format("{}: output = {}: equal to, inside or above the cohort folder {}; choose a folder beside it",
                    job.output_where, job.output.string(), job.cohort.path.string()));
}

void remove_leftovers(const fs::path& output) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (fs::recursive_directory_iterator it(output, error), end; !error && it != end; it.increment(error))
    if (const auto name = it->path().filename().string();
        name.starts_with('.') && name.find(".tmp-") != std::string::npos)
      leftovers.push_back(it->path());
  for (const auto& file : leftovers) fs::remove(file, error);
}

}  // namespace perfpipe
