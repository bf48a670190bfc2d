// What the benches of whole jobs run on: a simulated patient, the same as scanners store it, and networks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perfpipe::bench {

/// Runs `perfpipe` on a job file of this text, written into `folder`. Throws std::runtime_error if it fails.
void run_job_text(const std::filesystem::path& perfpipe, const std::filesystem::path& folder, const std::string& text);

/// A cohort of one simulated patient of 60 frames in `folder`/float32 (made once), as float32 .nii.gz.
void make_phantom(const std::filesystem::path& perfpipe, const std::filesystem::path& folder,
                  const std::vector<int>& size);

/// The same patient in `folder`/NAME as 16-bit integers, as scanners store them, plain or compressed.
void make_int16(const std::filesystem::path& folder, const std::string& name, bool compressed);

/// Networks of all four parameters with initial weights: their speed does not depend on the values.
void make_networks(const std::filesystem::path& folder);

/// All lines of the logs of a run, rank after rank.
std::vector<nlohmann::json> log_lines(const std::filesystem::path& output);

/// Seconds since the epoch of a log line.
double time_of(const nlohmann::json& line);

/// What main() of a bench of whole jobs does: its exit code is that of `run`; an error is told with the program's name.
int run_or_say_why(const char* program, int argc, char** argv, int (*run)(int argc, char** argv));

}  // namespace perfpipe::bench
