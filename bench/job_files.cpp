#include "bench/job_files.hpp"

#include "bench/child.hpp"
#include "core/atomic_file.hpp"
#include "formats/nifti_image.hpp"
#include "model/bicnn.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <zlib.h>

namespace perfpipe::bench {
namespace fs = std::filesystem;

void run_job_text(const fs::path& perfpipe, const fs::path& folder, const std::string& text) {
  fs::create_directories(folder);
  const fs::path job = folder / "job.yaml";
  write_file_atomically(job, text);
  if (const auto run = run_child({perfpipe.string(), job.string()}); run.code != 0)
    throw std::runtime_error(fmt::format("{} {} ended with {}", perfpipe.string(), job.string(), run.code));
}

void make_phantom(const fs::path& perfpipe, const fs::path& folder, const std::vector<int>& size) {
  if (fs::exists(folder / "float32" / "sub-01" / "perf" / "sub-01_dsc.nii.gz")) return;
  fs::remove_all(folder / "float32");
  run_job_text(perfpipe, folder,
               fmt::format("output: {}\nseed: 1\nstages:\n  - phantom: {{patients: 1, size: [{}], duration: 88.5, "
                           "repetition_time_low: 1.5, repetition_time_high: 1.5, snr_low: 60, snr_high: 60}}\n",
                           (folder / "float32").string(), fmt::join(size, ", ")));
}

void make_int16(const fs::path& folder, const std::string& name, bool compressed) {
  const fs::path from = folder / "float32" / "sub-01" / "perf", to = folder / name / "sub-01" / "perf";
  const fs::path image = to / (compressed ? "sub-01_dsc.nii.gz" : "sub-01_dsc.nii");
  if (fs::exists(image)) return;
  fs::create_directories(to);
  NiftiReader reader(from / "sub-01_dsc.nii.gz");
  const auto [nx, ny, nz] = reader.extent();
  const auto voxels = static_cast<std::size_t>(nx * ny * nz), frames = static_cast<std::size_t>(reader.frames());
  std::vector<float> values;
  reader.read_slab(0, nz, values);
  const float largest = *std::max_element(values.begin(), values.end());
  const float scale = 3000.0f / largest;  // of 12 bits
  std::vector<std::int16_t> stored(values.size());
  for (std::size_t v = 0; v < voxels; ++v)
    for (std::size_t t = 0; t < frames; ++t)
      stored[t * voxels + v] = static_cast<std::int16_t>(std::max(1L, std::lround(scale * values[v * frames + t])));

  std::array<char, 352> header{};
  const gzFile source = gzopen((from / "sub-01_dsc.nii.gz").c_str(), "rb");
  const bool got = source != nullptr && gzread(source, header.data(), header.size()) == 352;
  gzclose(source);
  if (!got) throw std::runtime_error("the phantom's header cannot be read");
  const std::int16_t type = 4, bits = 16;
  std::memcpy(header.data() + 70, &type, sizeof type);
  std::memcpy(header.data() + 72, &bits, sizeof bits);
  const gzFile out = gzopen(image.c_str(), compressed ? "wb6" : "wbT");
  const auto bytes = static_cast<unsigned>(stored.size() * sizeof(std::int16_t));
  const bool written = out != nullptr && gzwrite(out, header.data(), header.size()) == 352 &&
                       gzwrite(out, stored.data(), bytes) == static_cast<int>(bytes);
  if (gzclose(out) != Z_OK || !written) throw std::runtime_error(image.string() + " cannot be written");
  fs::copy_file(from / "sub-01_dsc.json", to / "sub-01_dsc.json", fs::copy_options::overwrite_existing);
}

void make_networks(const fs::path& folder) {
  fs::create_directories(folder);
  for (Parameter p : all_parameters) {
    auto tensors = initial_weights(architecture_of(p), 1, "bench");
    for (auto& tensor : tensors)
      if (tensor.name == "fc8.bias") tensor.values = {10.0f};  // else half of all estimates would be cut off at 0
    write_file_atomically(folder / (std::string(name(p)) + ".safetensors"),
                          to_safetensors(make_weight_file({p, 10.0, "bench", {"sub-99"}, "0"}, std::move(tensors))));
  }
}

std::vector<nlohmann::json> log_lines(const fs::path& output) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(output / "logs")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<nlohmann::json> lines;
  for (const auto& file : files) {
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

double time_of(const nlohmann::json& line) {
  const auto text = line.at("time").get<std::string>();  // 2026-01-31T12:34:56.789Z
  std::tm parts{};
  int millis = 0;
  if (std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d.%dZ", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour,
                  &parts.tm_min, &parts.tm_sec, &millis) != 7)
    throw std::runtime_error("a log line has no time: " + text);
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return static_cast<double>(timegm(&parts)) + 1e-3 * millis;
}

int run_or_say_why(const char* program, int argc, char** argv, int (*run)(int argc, char** argv)) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", program, error.what());
    return 1;
  }
}

}  // namespace perfpipe::bench
