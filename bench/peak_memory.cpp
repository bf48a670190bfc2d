// Peak memory of a whole job, from a patient's series to maps, against the size of the series. `tools/bench --memory`
// runs it; the largest series takes 22 GB of disk while it is worked on.
//   peak_memory PERFPIPE SOURCE_FOLDER WORK_FOLDER RESULT.json [LARGEST_SIDE [SMALLEST_SIDE]]
#include "bench/child.hpp"
#include "bench/job_files.hpp"
#include "core/atomic_file.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

namespace perfpipe::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct Size {
  std::int64_t nx, ny, nz, frames;
  double gigabytes() const { return 4e-9 * static_cast<double>(nx * ny * nz * frames); }  ///< as float32
};

/// NIfTI-1 header of a 16-bit series with 1.3 s between frames.
std::array<char, 352> header_of(const Size& size) {
  std::array<char, 352> header{};
  const auto put = [&](std::size_t at, auto value) { std::memcpy(header.data() + at, &value, sizeof value); };
  put(0, std::int32_t{348});
  const std::int64_t dim[] = {4, size.nx, size.ny, size.nz, size.frames, 1, 1, 1};
  for (std::size_t i = 0; i < 8; ++i) put(40 + 2 * i, static_cast<std::int16_t>(dim[i]));
  put(70, std::int16_t{4});
  put(72, std::int16_t{16});
  const float pixdim[] = {1.0f, 0.5f, 0.5f, 1.5f, 1.3f};
  for (std::size_t i = 0; i < 5; ++i) put(76 + 4 * i, pixdim[i]);
  put(108, 352.0f);
  put(112, 1.0f);
  header[123] = 2 | 8;        // mm, s
  put(254, std::int16_t{1});  // sform
  const float rows[] = {0.5f, 0, 0, 0, 0, 0.5f, 0, 0, 0, 0, 1.5f, 0};
  for (std::size_t i = 0; i < 12; ++i) put(280 + 4 * i, rows[i]);
  std::memcpy(header.data() + 344, "n+1", 4);
  return header;
}

/// An ellipsoid of tissue around a few arteries, written frame by frame: this program's own memory stays small.
void write_series(const fs::path& file, const Size& size) {
  constexpr int kinds = 64;  // of tissue; the last is artery
  std::ofstream out(file, std::ios::binary);
  const auto header = header_of(size);
  out.write(header.data(), header.size());
  std::vector<std::int16_t> slice(static_cast<std::size_t>(size.nx * size.ny));
  std::uint32_t state = 1;
  for (std::int64_t t = 0; t < size.frames; ++t) {
    std::array<double, kinds> signal{};
    for (int k = 0; k < kinds; ++k) {
      const bool artery = k == kinds - 1;
      const double arrival = artery ? 13.0 : 14.0 + 0.05 * k, width = artery ? 1.6 : 2.2 + 0.02 * k;
      const double s = std::max(0.0, 1.3 * static_cast<double>(t) - arrival) / width;
      signal[static_cast<std::size_t>(k)] =
          1000.0 * std::exp(-0.03 * (artery ? 40.0 : 3.0 + 0.05 * k) * std::pow(s / 3.0, 3.0) * std::exp(3.0 - s));
    }
    for (std::int64_t z = 0; z < size.nz; ++z) {
      const double dz = 2.0 * static_cast<double>(z) / static_cast<double>(size.nz) - 1.0;
      for (std::int64_t y = 0; y < size.ny; ++y) {
        const double dy = 2.2 * static_cast<double>(y) / static_cast<double>(size.ny) - 1.1;
        for (std::int64_t x = 0; x < size.nx; ++x) {
          const double dx = 2.2 * static_cast<double>(x) / static_cast<double>(size.nx) - 1.1;
          const double radius = dx * dx + dy * dy + 0.3 * dz * dz;
          state = state * 1664525u + 1013904223u;
          const double noise = static_cast<double>(state >> 16) / 6553.6 - 5.0;
          const auto kind = radius < 0.004 ? kinds - 1 : static_cast<int>(radius * (kinds - 2));
          slice[static_cast<std::size_t>(y * size.nx + x)] =
              static_cast<std::int16_t>(radius < 1.0 ? signal[static_cast<std::size_t>(kind)] + noise : 20.0 + noise);
        }
      }
      out.write(reinterpret_cast<const char*>(slice.data()), static_cast<std::streamsize>(2 * slice.size()));
    }
  }
  if (!out.flush()) throw std::runtime_error(file.string() + " cannot be written");
}

ordered_json measure(const fs::path& perfpipe, const fs::path& source, const fs::path& work, const Size& size) {
  const fs::path cohort = work / "memory-cohort", perf = cohort / "sub-01" / "perf", output = work / "memory-out";
  fs::remove_all(cohort);
  fs::remove_all(output);
  fs::create_directories(perf);
  write_series(perf / "sub-01_dsc.nii", size);
  write_file_atomically(perf / "sub-01_dsc.json", "{\"RepetitionTime\": 1.3, \"EchoTime\": 0.03}\n");
  const auto run =
      run_child({perfpipe.string(), (source / "configs" / "maps.yaml").string(), "--cohort", cohort.string(),
                 "--output", output.string(), "--set", "inference.weights=" + (work / "weights").string()});
  ordered_json stages;
  if (run.code == 0)
    for (const auto& line : log_lines(output))
      if (line.value("event", "") == "task done")
        stages[line.at("task").get<std::string>()] = line.at("peak_mebibytes");
  fs::remove_all(cohort);
  fs::remove_all(output);
  if (run.code != 0) throw std::runtime_error(fmt::format("the job ended with {}", run.code));
  fmt::print("{:>4} x {:>4} x {:>4} x {:>3} {:10.2f} GB {:10.0f} MiB {:10.1f} s  ", size.nx, size.ny, size.nz,
             size.frames, size.gigabytes(), static_cast<double>(run.peak_bytes) / (1 << 20), run.seconds);
  for (const auto& [task, mebibytes] : stages.items())
    fmt::print(" {} {}", task.substr(0, task.find('/')), mebibytes.get<long>());
  fmt::print("\n");
  std::fflush(stdout);
  return {{"size", {size.nx, size.ny, size.nz, size.frames}},
          {"float32_gigabytes", size.gigabytes()},
          {"peak_mebibytes", run.peak_bytes >> 20},
          {"peak_so_far_mebibytes", stages},
          {"seconds", run.seconds}};
}

int run(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "peak_memory PERFPIPE SOURCE_FOLDER WORK_FOLDER RESULT.json [LARGEST_SIDE [SMALLEST_SIDE]]\n");
    return 2;
  }
  const fs::path work = argv[3];
  const std::int64_t largest = argc > 5 ? std::atoll(argv[5]) : 512, smallest = argc > 6 ? std::atoll(argv[6]) : 0;
  make_networks(work / "weights");
  ordered_json result = ordered_json::array();
  fmt::print("series                    as float32     peak memory       time   peak after each stage (MiB)\n");
  for (const Size& size : {Size{64, 64, 20, 70}, Size{128, 128, 20, 70}, Size{256, 256, 40, 70}, Size{384, 384, 70, 70},
                           Size{512, 512, 100, 70}})
    if (size.nx >= smallest && size.nx <= largest) result.push_back(measure(argv[1], argv[2], work, size));
  write_file_atomically(argv[4], result.dump(1) + "\n");
  return 0;
}

}  // namespace
}  // namespace perfpipe::bench

int main(int argc, char** argv) {
  return perfpipe::bench::run_or_say_why("peak_memory", argc, argv, perfpipe::bench::run);
}
