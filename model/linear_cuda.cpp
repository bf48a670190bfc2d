#include "model/linear_cuda.hpp"

#include "core/cuda_library.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

#include <algorithm>
#include <stdexcept>

namespace perfpipe {
namespace {

constexpr int voxels_of_piece = 131072;       // 37 MB of 70 samples: a millisecond of copying
constexpr std::size_t voxels_of_task = 2048;  // 0.6 MB
constexpr int shared_bytes = 160 << 10;       // of a block, on every GPU from an A100 on

}  // namespace

CudaLinearMaps::CudaLinearMaps(const gpu::LinearOperator& op, int device)
    : CudaLinearMaps(op, device, cuda_table<gpu::LinearCudaTable>(), voxels_of_piece) {}

CudaLinearMaps::CudaLinearMaps(const gpu::LinearOperator& op, int device, const gpu::LinearCudaTable& table,
                               int voxels_at_once)
    : table_(table), device_(device), samples_(op.samples), most_(voxels_at_once) {
  check(table_.create(device, op, most_, session_));
}

CudaLinearMaps::~CudaLinearMaps() {
  if (session_ != nullptr) table_.destroy(session_);
}

void CudaLinearMaps::check(const std::string& problem) const {
  if (!problem.empty()) throw DeviceError("GPU " + std::to_string(device_) + ", deconvolution: " + problem);
}

bool CudaLinearMaps::fits(const gpu::LinearOperator& op) {
  return gpu::linear_floats(op.samples, op.rank) * static_cast<int>(sizeof(float)) <= shared_bytes;
}

std::int64_t CudaLinearMaps::compute(std::span<const float> curves, std::span<const std::uint8_t> inside, int threads,
                                     const std::array<std::span<float>, 4>& maps) {
  const auto n = static_cast<std::size_t>(samples_), most = static_cast<std::size_t>(most_);
  if (curves.size() % n != 0 || (!inside.empty() && inside.size() != curves.size() / n))
    throw std::invalid_argument("CudaLinearMaps::compute: curves [n, N] and inside [n] needed");
  std::vector<std::uint32_t> voxels;
  for (std::size_t v = 0; v < curves.size() / n; ++v)
    if (inside.empty() || inside[v] != 0) voxels.push_back(static_cast<std::uint32_t>(v));
  const std::size_t pieces = (voxels.size() + most - 1) / most;
  const auto count_of = [&](std::size_t piece) { return std::min(most, voxels.size() - piece * most); };
  std::int64_t negative = 0;
  for (std::size_t p = 0; p < pieces + gpu::linear_slots; ++p) {
    const auto which = static_cast<int>(p % gpu::linear_slots);
    const auto slot = table_.slot(*session_, which);
    if (p >= gpu::linear_slots && p - gpu::linear_slots < pieces) {
      const std::size_t done = p - gpu::linear_slots;
      check(table_.wait(*session_, which));
      for (std::size_t i = 0; i < count_of(done); ++i) {
        for (std::size_t map = 0; map < 4; ++map) maps[map][voxels[done * most + i]] = slot.maps[map * most + i];
        negative += slot.negative[i];
      }
    }
    if (p >= pieces) continue;
    parallel_blocks(count_of(p), voxels_of_task, threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        std::copy_n(curves.data() + voxels[p * most + i] * n, n, slot.curves + i * n);
    });
    check(table_.submit(*session_, which, static_cast<int>(count_of(p))));
  }
  return negative;
}

}  // namespace perfpipe
