// `perfpipe verify OUT`: is everything that a run left still what it wrote?
#pragma once

#include "core/error.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace perfpipe {

struct Verification {
  std::size_t artifacts = 0;          ///< looked at
  std::size_t files = 0;              ///< maps, tables and so on that artifacts have published
  std::size_t of_other_jobs = 0;      ///< sound artifacts that the last run did not use
  std::vector<std::string> problems;  ///< "PATH: what is wrong", in the order of the paths
};

/// Reads every artifact of OUT/store: its head, the hash of its content, and the files that it published; and holds
/// keys against OUT/manifest.json: a task that was done must have its artifact, of the key of that run. Changes
/// nothing. Throws IoError where `output` has no store, or a manifest that cannot be read.
Verification verify_output(const std::filesystem::path& output);

/// Prints what verify_output finds. ExitCode::io if anything is damaged.
ExitCode print_verification(const std::filesystem::path& output);

}  // namespace perfpipe
