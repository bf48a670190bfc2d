// The job file as typed values: which stages, on which cohort, to which folder.
#pragma once

#include "core/stage.hpp"
#include "formats/cohort_scan.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace perfpipe {

/// A stage of the job under its name.
struct StageInstance {
  std::string name;  ///< `as:`, or the type's name
  StageType type;
  std::unique_ptr<Stage> stage;
  std::string where;  ///< place in the job file
};

struct Job {
  std::string source;  ///< name of the job file
  std::filesystem::path output;
  std::string output_where;  ///< place in the job file, or --output
  std::uint64_t seed = 1;
  CohortOptions cohort;
  std::vector<StageInstance> stages;
  int threads = 0;                          ///< per rank; 0: from the cores the rank may use
  DeviceChoice device = DeviceChoice::cpu;  ///< until the GPU code has run on a GPU (docs/gpu.md)
  std::string device_name = "cpu";          ///< as the job file has it
  std::int64_t slab_mebibytes = 256;
  nlohmann::ordered_json resolved;  ///< everything with its defaults
};

/// What the command line adds to a job file.
struct JobOverrides {
  std::string output;
  std::string cohort;
  std::vector<std::string> settings;  ///< a.b=c
};

/// Parses a job. All findings are reported at once, with line and column. Throws ConfigError.
Job parse_job(const std::string& text, const std::string& source, const JobOverrides& overrides);

/// Checks that every dataset that a stage reads is written by one before it, with the same axes, units and type.
void check_ports(const std::vector<StageInstance>& stages, Findings& findings);

}  // namespace perfpipe
