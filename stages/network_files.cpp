#include "stages/network_files.hpp"

#include <algorithm>
#include <string>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

/// The folders below one whose names start with "without-", by name; the folder itself if it holds none.
std::vector<fs::path> network_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().filename().string().starts_with("without-")) folders.push_back(entry->path());
  std::sort(folders.begin(), folders.end());
  if (folders.empty()) folders.push_back(folder);
  return folders;
}

}  // namespace

std::map<Parameter, std::vector<fs::path>> network_files(const fs::path& folder) {
  std::error_code error;
  const bool is_run = fs::is_directory(folder / "weights", error);
  std::map<Parameter, std::vector<fs::path>> files;
  for (const auto& networks : network_folders(is_run ? folder / "weights" : folder))
    for (Parameter p : all_parameters) {
      const auto file = networks / (std::string(name(p)) + ".safetensors");
      if (fs::exists(file, error)) files[p].push_back(file);
    }
  return files;
}

}  // namespace perfpipe
