// What the end-to-end tests run: a cohort that is made in a moment, jobs that take seconds, and how they are started.
#pragma once

#include "tests/e2e/process.hpp"
#include "tests/formats/nifti_builder.hpp"
#include "tests/temp_folder.hpp"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {

// ---- Jobs. Paths are relative to the folder in which the tests start the program. ----

/// Maps by deconvolution: a dozen tasks.
inline constexpr char maps_job[] =
    "output: out\n"
    "cohort: cohort\n"
    "stages:\n"
    "  - import\n"
    "  - interpolation\n"
    "  - aif\n"
    "  - bsvd_targets\n"
    "  - export\n";

/// Every stage of a leave-one-patient-out cross-validation, with as little training as there can be.
inline constexpr char cross_validation_job[] =
    "output: out\n"
    "cohort: cohort\n"
    "stages:\n"
    "  - import\n"
    "  - interpolation\n"
    "  - aif\n"
    "  - bsvd_targets\n"
    "  - binning: {samples: 300}\n"
    "  - exemplars: {samples: 100}\n"
    "  - neighbours\n"
    "  - training: {epochs: 1}\n"
    "  - inference\n"
    "  - masking\n"
    "  - evaluation\n"
    "  - export\n"
    "  - report\n";

// ---- The cohort: signal of a bolus that passes a disc of tissue around a few arterial voxels. ----

/// 16 × 16 × 2 voxels, 45 frames of 1.5 s, float32. Patients differ in arrival, flow and noise.
inline NiftiBuilder small_series(unsigned patient = 1) {
  constexpr std::size_t nx = 16, ny = 16, nz = 2, nt = 45;
  NiftiBuilder image;
  image.dim = {nx, ny, nz, nt};
  image.pixdim = {1, 4, 4, 5, 1.5, 0, 0, 0};
  image.srow = {4, 0, 0, -30, 0, 4, 0, -30, 0, 0, 5, -2.5};
  image.value = [patient](std::size_t i) {
    const double x = static_cast<double>(i % nx) - 7.5, y = static_cast<double>(i / nx % ny) - 7.5;
    const double t = 1.5 * static_cast<double>(i / (nx * ny * nz));
    // A fixed hash instead of a random number: the same noise on every machine.
    auto bits = static_cast<std::uint32_t>(i * 2654435761u + patient * 40503u);
    bits = (bits ^ (bits >> 15)) * 2246822519u;
    const double noise = static_cast<double>((bits ^ (bits >> 13)) & 0xffff) / 65536.0 - 0.5;
    const double radius = std::hypot(x, y);
    if (radius > 7.0) return 5.0 + 2.0 * noise;
    const bool artery = radius < 1.5;
    const double arrival = 12.0 + 0.5 * patient + (artery ? 0.0 : 0.4 * radius);
    const double width = artery ? 1.6 : 2.2 + 0.1 * patient;
    const double s = std::max(0.0, t - arrival) / width;
    const double concentration = (artery ? 40.0 : 4.0 + 0.2 * x) * std::pow(s / 3.0, 3.0) * std::exp(3.0 - s);
    return 400.0 * std::exp(-0.03 * concentration) + 4.0 * noise;
  };
  return image;
}

inline constexpr char small_sidecar[] = "{\"RepetitionTime\": 1.5, \"EchoTime\": 0.03}\n";

/// "cohort/sub-01/perf/sub-01": what the names of a patient's files begin with.
inline std::string stem_of(const std::string& name) {
  const auto session = name.find("_ses-");
  const std::string folder =
      session == std::string::npos ? name : name.substr(0, session) + "/" + name.substr(session + 1);
  return "cohort/" + folder + "/perf/" + name;
}

/// A patient ("sub-01") or a session ("sub-01_ses-2") in the input layout.
inline std::filesystem::path write_patient(const TempFolder& folder, const std::string& name, const NiftiBuilder& image,
                                           const std::string& sidecar = small_sidecar,
                                           const std::string& extension = ".nii") {
  if (!sidecar.empty()) folder.write(stem_of(name) + "_dsc.json", sidecar);
  return image.write(folder, stem_of(name) + "_dsc" + extension);
}

inline void write_small_cohort(const TempFolder& folder, unsigned patients = 3) {
  for (unsigned p = 1; p <= patients; ++p) write_patient(folder, "sub-0" + std::to_string(p), small_series(p));
}

// ---- Running. ----

/// Where this test was built. Looked up at run time: the objects of all builds of these tests are the same then, and
/// ccache has those of the next.
inline std::filesystem::path build_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

inline std::string perfpipe_executable() { return build_folder() / "pipeline/perfpipe"; }

inline std::vector<std::string> perfpipe_words(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), perfpipe_executable());
  return arguments;
}

/// Under mpirun, with more ranks than cores allowed, and its own files in the test's folder: a killed launcher leaves
/// them.
inline CommandOptions options_in(const TempFolder& folder) {
  CommandOptions options;
  options.folder = folder.path();
  options.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                         {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                         {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                         {"OMPI_MCA_hwloc_base_binding_policy", "none"},  // tests beside each other share all cores
                         {"OMPI_MCA_btl_vader_backing_directory", folder.path().string()},
                         {"TMPDIR", folder.path().string()}};
  return options;
}

inline std::vector<std::string> mpirun_words(int ranks, std::vector<std::string> arguments) {
  std::vector<std::string> words{PERFPIPE_MPIRUN, "-np", std::to_string(ranks), perfpipe_executable()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

/// HDF5 says errors itself, on the terminal, where it is not told otherwise in each thread.
inline CommandResult without_foreign_words(CommandResult result) {
  EXPECT_EQ(result.err.find("HDF5-DIAG"), std::string::npos) << result.err;
  return result;
}

/// perfpipe in the folder, without a launcher.
inline CommandResult run_perfpipe(const TempFolder& folder, std::vector<std::string> arguments, double limit = 60.0) {
  return without_foreign_words(run_command(perfpipe_words(std::move(arguments)), options_in(folder), limit));
}

inline CommandResult run_ranks(const TempFolder& folder, int ranks, std::vector<std::string> arguments,
                               double limit = 60.0) {
  return without_foreign_words(run_command(mpirun_words(ranks, std::move(arguments)), options_in(folder), limit));
}

// ---- Looking at what came of it. ----

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// True if the command ended with this code (in time), and one line of its messages holds all these pieces.
inline testing::AssertionResult ended(const CommandResult& result, int code,
                                      const std::vector<std::string>& pieces = {}) {
  const auto what = [&] {
    return (testing::AssertionFailure() << (result.timed_out ? "timed out" : "ended") << " with " << result.code
                                        << "\nstdout:\n"
                                        << result.out << "stderr:\n"
                                        << result.err);
  };
  if (result.timed_out || result.code != code) return what() << "expected code " << code;
  if (!pieces.empty() && !has_line(lines_of(result.err), pieces))
    return what() << "expected one line with: " << testing::PrintToString(pieces);
  return testing::AssertionSuccess();
}

/// True if one line of the messages holds all these pieces.
inline testing::AssertionResult says(const CommandResult& result, const std::vector<std::string>& pieces) {
  if (has_line(lines_of(result.err), pieces)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "stderr:\n"
                                     << result.err << "has no line with: " << testing::PrintToString(pieces);
}

/// Content of all files below a folder, by relative path, without what rightly differs from run to run: logs, the
/// manifest (times, ranks), the cache of input checks (time stamps) and the lock.
inline std::map<std::string, std::string> results_in(const std::filesystem::path& output) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(output)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().lexically_relative(output).string();
    if (name.starts_with("logs/") || name == "manifest.json" || name == "store/inputs.json" || name == "store/.lock")
      continue;
    files[name] = file_bytes(entry.path());
  }
  return files;
}

/// True if both hold the same files with the same bytes.
inline testing::AssertionResult same_results(const std::map<std::string, std::string>& expected,
                                             const std::map<std::string, std::string>& found) {
  std::string difference;
  for (const auto& [name, bytes] : expected) {
    const auto same = found.find(name);
    if (same == found.end())
      difference += "missing: " + name + "\n";
    else if (same->second != bytes)
      difference += "different: " + name + "\n";
  }
  for (const auto& [name, bytes] : found)
    if (!expected.contains(name)) difference += "not expected: " + name + "\n";
  if (difference.empty()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << difference;
}

/// Files that a writer has not brought to their place.
inline std::vector<std::string> temporaries_in(const std::filesystem::path& folder) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().filename().string().find(".tmp") != std::string::npos) found.push_back(entry.path().string());
  return found;
}

struct TaskCounts {
  int all = -1;
  int to_run = -1;
  int reused = -1;
};

/// From "46 tasks: 30 to run, 16 reused", which a run logs and --dry-run prints; -1 if there is no such line.
inline TaskCounts task_counts(const std::string& text) {
  for (const auto& line : lines_of(text)) {
    const auto place = line.find(" tasks: ");
    if (place == std::string::npos) continue;
    const auto digits = line.find_last_not_of("0123456789", place - 1);
    TaskCounts counts;
    if (std::sscanf(line.c_str() + (digits == std::string::npos ? 0 : digits + 1), "%d tasks: %d to run, %d reused",
                    &counts.all, &counts.to_run, &counts.reused) == 3)
      return counts;
  }
  return {};
}

/// Artifacts in the store, without the states of trainings that are under way.
inline int committed_artifacts(const std::filesystem::path& output) {
  int count = 0;
  if (!std::filesystem::exists(output / "store")) return 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(output / "store")) {
    const std::string name = entry.path().filename().string();
    count += name.ends_with(".h5") && !name.ends_with(".state.h5") && !name.starts_with('.');
  }
  return count;
}

/// True if a training has saved its state and goes on, or went on when the job ended.
inline bool state_is_saved(const std::filesystem::path& output) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(output / "store/training", error), end; !error && it != end;
       it.increment(error))
    if (const auto name = it->path().filename().string(); name.ends_with(".state.h5") && !name.starts_with('.'))
      return true;
  return false;
}

}  // namespace perfpipe
