// The whole job, from a patient's series to maps, beside what cannot be avoided: reading the series, writing the maps,
// and the arithmetic. `tools/bench --job` runs it.
//   whole_job PERFPIPE SOURCE_FOLDER WORK_FOLDER RESULT.json [RUNS]
#include "bench/child.hpp"
#include "bench/job_files.hpp"
#include "bench/machine.hpp"
#include "core/atomic_file.hpp"
#include "core/parallel.hpp"
#include "core/store.hpp"
#include "formats/gzip_stream.hpp"
#include "formats/nifti_image.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>

#include <fmt/format.h>

namespace perfpipe::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int cores = 2;  ///< that the job may use

/// Multiply-adds of a voxel of the brain: four network maps (docs/architecture.md) and bSVD (140 x 70).
constexpr double multiply_adds = 77312.0 + 3 * 113152.0 + 140.0 * 70.0;

struct JobTiming {
  double total = infinity;
  double processor = 0.0;                                   ///< time that its threads computed
  double first_work = 0.0;                                  ///< from the start of the program to its first task
  double end = 0.0;                                         ///< from its last task to the end of the program
  std::map<std::string, std::pair<double, double>> stages;  ///< seconds, processor seconds
};

/// One run from nothing; kept where it is faster than the ones before.
void run_once(const std::vector<std::string>& command, const fs::path& output, JobTiming& best) {
  fs::remove_all(output);
  const ChildRun run = run_child(command);
  if (run.code != 0)
    throw std::runtime_error(fmt::format("the job ended with {}: {}", run.code, fmt::join(command, " ")));
  if (run.seconds >= best.total) return;
  best = {};
  best.total = run.seconds;
  best.processor = run.processor_seconds;
  const double start = std::chrono::duration<double>(run.started.time_since_epoch()).count();
  double last = start;
  for (const auto& line : log_lines(output)) {
    const auto event = line.value("event", "");
    if (event == "task started" && best.first_work == 0.0) best.first_work = time_of(line) - start;
    if (event != "task done") continue;
    const auto task = line.at("task").get<std::string>();
    best.stages[task.substr(0, task.find('/'))] = {line.at("seconds"), line.at("processor_seconds")};
    last = time_of(line);
  }
  best.end = start + run.seconds - last;
}

/// Reading every byte of the series once, inflated, on one core.
double reading_time(const fs::path& image, int runs) {
  std::vector<std::uint8_t> buffer(1 << 18);
  double least = infinity;
  for (int i = 0; i < runs; ++i)
    least = std::min(least, seconds_of([&] {
                       GzipStream stream(image);
                       while (stream.read(buffer.data(), buffer.size()) > 0) {
                       }
                     }));
  return least;
}

/// Writing all maps and masks that the job left, one after another, as the job writes them.
double writing_time(const fs::path& maps, const fs::path& scratch, int runs) {
  struct Volume {
    std::string name;
    NiftiHeader header;
    std::vector<float> values;
    bool mask = false;
  };
  std::vector<Volume> volumes;
  for (const auto& entry : fs::directory_iterator(maps)) {
    if (!has_nifti_name(entry.path())) continue;
    NiftiReader reader(entry.path());
    Volume volume{entry.path().filename().string(), reader.info().header, {}, false};
    reader.read_slab(0, reader.extent()[2], volume.values);
    volume.mask = volume.header.datatype == NiftiType::uint8;
    volumes.push_back(std::move(volume));
  }
  fs::create_directories(scratch);
  double least = infinity;
  for (int i = 0; i < runs; ++i)
    least = std::min(
        least, seconds_of([&] {
          for (const auto& volume : volumes) {
            const std::vector<std::uint8_t> bytes(volume.values.begin(), volume.values.end());
            if (volume.mask)
              write_nifti_volume(scratch / volume.name, std::span<const std::uint8_t>(bytes), volume.header, "bench");
            else
              write_nifti_volume(scratch / volume.name, std::span<const float>(volume.values), volume.header, "bench");
          }
        }));
  return least;
}

double help_time(const fs::path& perfpipe, int runs) {
  double least = infinity;
  for (int i = 0; i < runs; ++i) least = std::min(least, run_child({perfpipe.string(), "--help"}).seconds);
  return least;
}

ordered_json measure(const fs::path& perfpipe, const fs::path& source, const fs::path& work, const std::string& kind,
                     int runs, double alone) {
  const fs::path output = work / "out";
  const std::vector<std::string> command{perfpipe.string(), (source / "configs" / "maps.yaml").string(),
                                         "--cohort",        (work / kind).string(),
                                         "--output",        output.string(),
                                         "--set",           "inference.weights=" + (work / "weights").string(),
                                         "--set",           fmt::format("parallel.threads={}", cores)};
  JobTiming timing;
  double rate = 0.0;  // of each core while all compute, as they do in the job: found in turns with it
  for (int i = 0; i < runs; ++i) {
    run_once(command, output, timing);
    rate = std::max(rate, sgemm_rate_together(cores, 1));
  }
  const fs::path perf = work / kind / "sub-01" / "perf";
  const fs::path image = perf / (fs::exists(perf / "sub-01_dsc.nii") ? "sub-01_dsc.nii" : "sub-01_dsc.nii.gz");
  const auto mask = ArtifactReader(output / "store" / "import" / "sub-01.h5").read<std::uint8_t>("brain_mask");
  const auto inside = static_cast<double>(std::count(mask.begin(), mask.end(), 1));
  const double reading = reading_time(image, runs);
  const double writing = writing_time(output / "derivatives" / "sub-01" / "perf", work / "scratch", runs);
  const double floor = inside * multiply_adds / rate / cores;
  const double bound = reading + writing + floor;

  fmt::print("\n{}: {} brain voxels, {:.1f} MB\n", kind, inside, static_cast<double>(fs::file_size(image)) * 1e-6);
  fmt::print("  {:<28}{:8.3f} s  {:8.3f} s computing\n", "whole job", timing.total, timing.processor);
  fmt::print("    {:<26}{:8.3f} s\n", "start to first task", timing.first_work);
  ordered_json stages;
  for (const auto& [stage, times] : timing.stages) {
    fmt::print("    {:<26}{:8.3f} s  {:8.3f} s computing\n", stage, times.first, times.second);
    stages[stage] = {{"seconds", times.first}, {"processor_seconds", times.second}};
  }
  fmt::print("    {:<26}{:8.3f} s\n", "last task to end", timing.end);
  fmt::print("  {:<28}{:8.3f} s\n", "reading the series", reading);
  fmt::print("  {:<28}{:8.3f} s\n", "writing the maps", writing);
  fmt::print("  {:<28}{:8.3f} s ({:.1f} GMAC/s on each of {} cores at once; {:.1f} on one alone)\n",
             "floor of the arithmetic", floor, rate * 1e-9, cores, alone * 1e-9);
  const double bound_alone = reading + writing + floor * rate / alone;
  fmt::print("  {:<28}{:8.2f} ({:.2f} at the rate of one alone)\n", "whole job / their sum", timing.total / bound,
             timing.total / bound_alone);
  return {{"series", kind},
          {"brain_voxels", inside},
          {"seconds", timing.total},
          {"first_work", timing.first_work},
          {"processor_seconds", timing.processor},
          {"stages", stages},
          {"end", timing.end},
          {"reading", reading},
          {"writing", writing},
          {"floor", floor},
          {"ratio", timing.total / bound},
          {"ratio_at_one_cores_rate", timing.total / bound_alone}};
}

int run(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "whole_job PERFPIPE SOURCE_FOLDER WORK_FOLDER RESULT.json [RUNS]\n");
    return 2;
  }
  const fs::path perfpipe = argv[1], source = argv[2], work = argv[3];
  const int runs = argc > 5 ? std::max(1, std::atoi(argv[5])) : 5;
  make_phantom(perfpipe, work, {128, 128, 20});
  make_int16(work, "int16", false);
  make_int16(work, "int16-gz", true);
  make_networks(work / "weights");
  const double rate = sgemm_rate();
  ordered_json result{{"help", help_time(perfpipe, runs)}, {"jobs", ordered_json::array()}};
  fmt::print("perfpipe --help: {:.3f} s\n", result["help"].get<double>());
  for (const char* kind : {"int16", "int16-gz", "float32"})
    result["jobs"].push_back(measure(perfpipe, source, work, kind, runs, rate));
  fs::remove_all(work / "out");
  write_file_atomically(argv[4], result.dump(1) + "\n");
  return 0;
}

}  // namespace
}  // namespace perfpipe::bench

int main(int argc, char** argv) {
  return perfpipe::bench::run_or_say_why("whole_job", argc, argv, perfpipe::bench::run);
}
