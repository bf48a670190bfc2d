#include "core/parallel.hpp"
#include "formats/gzip_stream.hpp"
#include "formats/nifti_image.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <future>

#include <fmt/format.h>

// Values are read by our own code and not through ITK: in trials NiftiImageIO of ITK 5.2.1 did not open NIfTI-2,
// refused an sform with shear, took a slope of 1e-17 for 1, gave zeros for (X,Y,Z,T) with a vector intent and crashed
// on a region of (X,Y,Z,1,T) with one. Both give the same values on the files that ITK does read
// (tests/formats/nifti_itk_test.cpp).

namespace perfpipe {
namespace {

// Frames and voxels that are turned together from (t, z, y, x) to (z, y, x, t): 16 floats fill a cache line, and as
// many frames of 256 voxels stay in the first-level cache between conversion and turning.
constexpr std::int64_t frame_block = 16;
constexpr std::int64_t voxel_block = 256;

template <class T>
void convert(const std::uint8_t* raw, std::size_t count, bool swapped, double slope, double intercept, float* values) {
  if (swapped) {
    for (std::size_t i = 0; i < count; ++i) {
      std::array<std::uint8_t, sizeof(T)> one;
      std::memcpy(one.data(), raw + i * sizeof(T), sizeof(T));
      std::reverse(one.begin(), one.end());
      values[i] = static_cast<float>(static_cast<double>(std::bit_cast<T>(one)) * slope + intercept);
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    T one;
    std::memcpy(&one, raw + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(static_cast<double>(one) * slope + intercept);
  }
}

void convert(NiftiType type, const std::uint8_t* raw, std::size_t count, bool swapped, double slope, double intercept,
             float* values) {
  switch (type) {
    case NiftiType::uint8:
      return convert<std::uint8_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::int8:
      return convert<std::int8_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::int16:
      return convert<std::int16_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::uint16:
      return convert<std::uint16_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::int32:
      return convert<std::int32_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::uint32:
      return convert<std::uint32_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::int64:
      return convert<std::int64_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::uint64:
      return convert<std::uint64_t>(raw, count, swapped, slope, intercept, values);
    case NiftiType::float32:
      return convert<float>(raw, count, swapped, slope, intercept, values);
    case NiftiType::float64:
      return convert<double>(raw, count, swapped, slope, intercept, values);
  }
}

/// to[v * stride + t] = part[t][v] for `count` voxels and `frames` frames.
void turn(const float* part, std::int64_t count, std::int64_t frames, float* to, std::int64_t stride) {
  if (frames < frame_block) {
    for (std::int64_t v = 0; v < count; ++v)
      for (std::int64_t t = 0; t < frames; ++t) to[v * stride + t] = part[t * voxel_block + v];
    return;
  }
  for (std::int64_t v = 0; v < count; ++v)
    for (std::int64_t t = 0; t < frame_block; ++t) to[v * stride + t] = part[t * voxel_block + v];
}

}  // namespace

struct NiftiReader::State {
  NiftiFileInfo info;
  GzipStream stream;
  /// The slab's bytes of `frame_block` frames, twice: one is read while the other is converted.
  std::array<std::vector<std::uint8_t>, 2> raw{};

  /// Reads the slab's part of one frame to `to`.
  void read_frame(std::int64_t frame, std::int64_t z_first, std::int64_t z_count, std::uint8_t* to) {
    const auto [nx, ny, nz] = info.header.extent();
    const std::int64_t slice = nx * ny * info.header.bytes_per_value();
    stream.seek(info.header.vox_offset + (frame * nz + z_first) * slice);
    if (const auto wanted = static_cast<std::size_t>(slice * z_count); stream.read(to, wanted) < wanted)
      throw InputError(fmt::format("ends inside frame {} of {}: the file is truncated; copy it again", frame + 1,
                                   info.header.frames()));
  }
};

NiftiReader::NiftiReader(const std::filesystem::path& path) {
  Findings findings;
  std::vector<std::string> warnings;
  const auto info = check_nifti_file(path, findings, warnings, GzipCheck::header);
  findings.throw_if_any(ExitCode::input);
  state_.reset(new State{*info, GzipStream(path)});
}

NiftiReader::~NiftiReader() = default;
NiftiReader::NiftiReader(NiftiReader&&) noexcept = default;
NiftiReader& NiftiReader::operator=(NiftiReader&&) noexcept = default;

const NiftiFileInfo& NiftiReader::info() const { return state_->info; }

void NiftiReader::inflate_into(const std::filesystem::path& folder) {
  if (!state_->info.gzipped) return;
  try {
    state_->stream.inflate_into(folder);
  } catch (const InputError& error) {
    throw InputError(state_->info.path.string() + ": " + error.what());
  }
}

std::vector<std::string> NiftiReader::check_end() {
  const std::string file = state_->info.path.string();
  const NiftiHeader& header = state_->info.header;
  const auto [nx, ny, nz] = header.extent();
  const std::int64_t data = header.vox_offset + nx * ny * nz * header.frames() * header.bytes_per_value();
  std::vector<std::string> warnings;
  try {
    const std::int64_t behind = state_->stream.skip_to_end() - data;
    if (behind > 0) warnings.push_back(fmt::format("{}: {} bytes after the data are ignored", file, behind));
  } catch (const InputError& error) {
    throw InputError(file + ": " + error.what());
  }
  if (const auto trailing = state_->stream.trailing_bytes(); trailing > 0)
    warnings.push_back(fmt::format("{}: {} bytes after the gzip stream are ignored", file, trailing));
  return warnings;
}

std::size_t NiftiReader::slab_values(std::int64_t z_first, std::int64_t z_count) const {
  const auto [nx, ny, nz] = extent();
  if (z_first < 0 || z_count < 1 || z_first + z_count > nz)
    throw std::out_of_range(fmt::format("{}: slices {} to {} asked for of {}", state_->info.path.string(), z_first,
                                        z_first + z_count - 1, nz));
  return static_cast<std::size_t>(nx * ny * z_count * frames());
}

void NiftiReader::read_slab(std::int64_t z_first, std::int64_t z_count, std::span<float> values, int threads) {
  const NiftiHeader& header = state_->info.header;
  const auto [nx, ny, nz] = header.extent();
  const std::int64_t frame_count = header.frames(), slab = nx * ny * z_count, bytes = header.bytes_per_value();
  const double slope = header.scl_slope == 0.0 ? 1.0 : header.scl_slope;
  const double intercept = header.scl_slope == 0.0 ? 0.0 : header.scl_inter;
  const std::int64_t block = std::min(frame_block, frame_count);
  // Reading (inflating, above all) goes on in a thread of its own while the block before is converted.
  const auto read_block = [&](std::int64_t first) {
    auto& raw = state_->raw[static_cast<std::size_t>(first / block % 2)];
    raw.resize(static_cast<std::size_t>(slab * bytes * block));
    for (std::int64_t t = 0; t < std::min(block, frame_count - first); ++t)
      state_->read_frame(first + t, z_first, z_count, raw.data() + t * slab * bytes);
  };
  const auto start = [&](std::int64_t first) {
    return std::async(frame_count > block ? std::launch::async : std::launch::deferred, read_block, first);
  };
  try {
    auto next = start(0);
    for (std::int64_t first = 0; first < frame_count; first += block) {
      const std::int64_t here = std::min(block, frame_count - first);
      next.get();
      if (first + block < frame_count) next = start(first + block);
      const auto& raw = state_->raw[static_cast<std::size_t>(first / block % 2)];
      parallel_blocks(static_cast<std::size_t>(slab), static_cast<std::size_t>(64 * voxel_block), threads,
                      [&](std::size_t begin, std::size_t end) {
                        std::array<float, static_cast<std::size_t>(frame_block * voxel_block)> part;
                        for (auto voxel = static_cast<std::int64_t>(begin); voxel < static_cast<std::int64_t>(end);
                             voxel += voxel_block) {
                          const std::int64_t count = std::min(voxel_block, static_cast<std::int64_t>(end) - voxel);
                          for (std::int64_t t = 0; t < here; ++t)
                            convert(header.datatype, raw.data() + (t * slab + voxel) * bytes,
                                    static_cast<std::size_t>(count), header.swapped, slope, intercept,
                                    part.data() + t * voxel_block);
                          turn(part.data(), count, here, values.data() + voxel * frame_count + first, frame_count);
                        }
                      });
    }
  } catch (const InputError& error) {
    throw InputError(state_->info.path.string() + ": " + error.what());
  }
}

std::int64_t NiftiReader::slices_within(std::size_t bytes) const {
  const auto [nx, ny, nz] = extent();
  const auto slice = static_cast<std::size_t>(nx * ny * frames()) * sizeof(float);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(bytes / slice), 1, nz);
}

}  // namespace perfpipe
