// Whole jobs on 1 to 8 ranks of one thread each: one patient, whose slabs the ranks share in inference, and four
// patients, whom they take in turns. `tools/bench --ranks` runs it. With fewer cores than ranks it shows what sharing
// costs, not what it gains.
//   rank_scaling PERFPIPE SOURCE_FOLDER WORK_FOLDER RESULT.json
#include "bench/child.hpp"
#include "bench/job_files.hpp"
#include "core/atomic_file.hpp"
#include "core/parallel.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

namespace perfpipe::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// The patient `patients` times, under other names.
fs::path cohort_of(const fs::path& work, int patients) {
  const fs::path cohort = work / fmt::format("patients-{}", patients), from = work / "int16" / "sub-01" / "perf";
  for (int p = 1; p <= patients; ++p) {
    const std::string name = fmt::format("sub-{:02d}", p);
    const fs::path to = cohort / name / "perf";
    fs::create_directories(to);
    for (const char* suffix : {"_dsc.nii", "_dsc.json"})
      fs::copy_file(from / (std::string("sub-01") + suffix), to / (name + suffix),
                    fs::copy_options::overwrite_existing);
  }
  return cohort;
}

ordered_json measure(const fs::path& perfpipe, const fs::path& source, const fs::path& work, int patients, int ranks) {
  const fs::path output = work / "out";
  fs::remove_all(output);
  const auto run = run_child({"mpirun", "-np", std::to_string(ranks), "--oversubscribe", "--bind-to", "none",
                              perfpipe.string(), (source / "configs" / "maps.yaml").string(), "--cohort",
                              cohort_of(work, patients).string(), "--output", output.string(), "--set",
                              "inference.weights=" + (work / "weights").string(), "--set", "parallel.threads=1"});
  if (run.code != 0) throw std::runtime_error(fmt::format("mpirun -np {} ended with {}", ranks, run.code));
  double first = 1e300, last = 0.0;  // of inference, over all ranks and patients
  for (const auto& line : log_lines(output)) {
    if (!line.value("task", "").starts_with("inference/")) continue;
    if (line.value("event", "") == "task started") first = std::min(first, time_of(line));
    if (line.value("event", "") == "task done") last = std::max(last, time_of(line));
  }
  fmt::print("{:8} {:6} {:10.2f} s {:12.2f} s\n", patients, ranks, run.seconds, last - first);
  std::fflush(stdout);
  fs::remove_all(output);
  return {{"patients", patients}, {"ranks", ranks}, {"seconds", run.seconds}, {"inference_seconds", last - first}};
}

int run(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "rank_scaling PERFPIPE SOURCE_FOLDER WORK_FOLDER RESULT.json\n");
    return 2;
  }
  const fs::path work = argv[3];
  make_phantom(argv[1], work, {128, 128, 20});
  make_int16(work, "int16", false);
  make_networks(work / "weights");
  ordered_json result{{"cores", usable_cores()}, {"jobs", ordered_json::array()}};
  fmt::print("{} cores\npatients  ranks   whole job      inference\n", usable_cores());
  for (const int patients : {1, 4})
    for (const int ranks : {1, 2, 4, 8}) result["jobs"].push_back(measure(argv[1], argv[2], work, patients, ranks));
  write_file_atomically(argv[4], result.dump(1) + "\n");
  return 0;
}

}  // namespace
}  // namespace perfpipe::bench

int main(int argc, char** argv) {
  return perfpipe::bench::run_or_say_why("rank_scaling", argc, argv, perfpipe::bench::run);
}
