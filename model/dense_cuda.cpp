#include "model/dense_cuda.hpp"

#include "core/cuda_library.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"
#include "model/dense_errors.hpp"
#include "model/gpu/dense_slab.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace perfpipe {
namespace {

constexpr auto samples = static_cast<std::size_t>(curve_samples);

/// Two slices of 256 x 256: 37 MB, four rounds of a GPU's 132 multiprocessors, and a millisecond of copying.
constexpr std::int64_t voxels_of_piece = 131072;

constexpr std::size_t rows_of_task = 2048;  // 0.6 MB

int small(std::int64_t n) {
  if (n > gpu::none_bad / gpu::feature_floats)
    throw std::invalid_argument("CudaDenseNetworks: slices too large for the GPU's indices");
  return static_cast<int>(n);
}

}  // namespace

CudaDenseNetworks::CudaDenseNetworks(std::vector<DenseParameters> networks, gpu::Arithmetic arithmetic, int device)
    : CudaDenseNetworks(std::move(networks), arithmetic, device, cuda_table<gpu::DenseCudaTable>(), voxels_of_piece) {}

CudaDenseNetworks::CudaDenseNetworks(std::vector<DenseParameters> networks, gpu::Arithmetic arithmetic, int device,
                                     const gpu::DenseCudaTable& table, std::int64_t voxels_at_once)
    : table_(table),
      arithmetic_(arithmetic),
      device_(device),
      voxels_at_once_(voxels_at_once),
      networks_(std::move(networks)) {}

CudaDenseNetworks::~CudaDenseNetworks() {
  if (session_ != nullptr) table_.destroy(session_);
}

void CudaDenseNetworks::check(const std::string& problem) const {
  if (!problem.empty()) throw DeviceError("GPU " + std::to_string(device_) + ", dense inference: " + problem);
}

/// Takes a session in which pieces of this slab have room.
void CudaDenseNetworks::prepare(const CurveSlab& slab) {
  const std::int64_t plane = slab.ny * slab.nx,
                     slices = std::max<std::int64_t>(
                         1, std::min(voxels_at_once_ / plane, static_cast<std::int64_t>(slab.inside.size()) / plane));
  const gpu::DenseLimits needed{small(slices * plane + 1), small(slices * plane),
                                small(slices * (slab.ny + 1) * (slab.nx + 1))};
  if (session_ != nullptr && needed.fits_into(limits_)) return;
  if (session_ != nullptr) table_.destroy(std::exchange(session_, nullptr));
  std::vector<gpu::DenseNetworkOnGpu> packed;
  for (const auto& network : networks_)
    packed.push_back({gpu::pack_layers(network.weights(), arithmetic_), network.factor()});
  check(table_.create(device_, arithmetic_, packed, needed, session_));
  limits_ = needed;
}

/// Curves of the voxels inside behind each other, row 0 being zeros, and who is where.
void CudaDenseNetworks::fill(const CurveSlab& slab, const Piece& piece, const gpu::DenseSlot& slot, int threads) const {
  const auto voxels = static_cast<std::size_t>(piece.size.slices) * static_cast<std::size_t>(slab.ny * slab.nx);
  int row = 1;
  for (std::size_t v = 0; v < voxels; ++v) {
    const bool inside = slab.inside[piece.first_voxel + v] != 0;
    slot.row_of[v] = inside ? row : 0;
    if (inside) slot.voxel_of[row++] = static_cast<int>(v);
  }
  std::fill_n(slot.curves, samples, 0.0f);
  slot.voxel_of[0] = 0;
  parallel_blocks(static_cast<std::size_t>(row), rows_of_task, threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = std::max<std::size_t>(1, begin); r < end; ++r) {
      const auto voxel = piece.first_voxel + static_cast<std::size_t>(slot.voxel_of[r]);
      std::copy_n(slab.curves.data() + voxel * samples, samples, slot.curves + r * samples);
    }
  });
}

/// Waits for a piece and puts its estimates into the maps.
void CudaDenseNetworks::take(const CurveSlab& slab, int which, const Piece& piece,
                             std::vector<std::vector<float>>& maps) {
  std::vector<gpu::DenseFindings> findings(networks_.size());
  check(table_.wait(*session_, which, findings.data()));
  const gpu::DenseSlot slot = table_.slot(*session_, which);
  const auto place_of = [&](int row) {
    const auto voxel = static_cast<std::int64_t>(piece.first_voxel) + slot.voxel_of[row];
    return VoxelPlace{voxel % slab.nx, voxel / slab.nx % slab.ny, slab.first_slice + voxel / (slab.nx * slab.ny)};
  };
  for (std::size_t n = 0; n < networks_.size(); ++n) {
    if (findings[n].bad_curve != gpu::none_bad) refuse_curve(place_of(findings[n].bad_curve));
    if (findings[n].bad_estimate != gpu::none_bad)
      refuse_estimate(networks_[n].facts().parameter, place_of(findings[n].bad_estimate));
    const float* const estimates = slot.estimates + n * static_cast<std::size_t>(limits_.rows);
    for (int row = 1; row < piece.size.rows; ++row)
      maps[n][piece.first_voxel + static_cast<std::size_t>(slot.voxel_of[row])] = estimates[row];
  }
}

std::vector<std::vector<float>> CudaDenseNetworks::estimate(const CurveSlab& slab, int threads) {
  const auto plane = static_cast<std::size_t>(slab.ny * slab.nx);
  if (plane == 0 || slab.inside.size() % plane != 0 || slab.curves.size() != slab.inside.size() * samples)
    throw std::invalid_argument(
        "CudaDenseNetworks::estimate: curves [slices, ny, nx, 70] and inside [slices, ny, nx] needed");
  std::vector<std::vector<float>> maps(networks_.size(), std::vector<float>(slab.inside.size(), 0.0f));
  if (slab.inside.empty() || networks_.empty()) return maps;
  prepare(slab);
  // As many slices as fit, which depends on slabs before this one; the bits do not depend on it.
  const auto together = static_cast<std::size_t>(
      std::min<std::int64_t>({limits_.voxels / (slab.ny * slab.nx), (limits_.rows - 1) / (slab.ny * slab.nx),
                              limits_.windows / ((slab.ny + 1) * (slab.nx + 1))}));
  const std::size_t slices = slab.inside.size() / plane;
  std::vector<Piece> pieces;  // those with something inside
  for (std::size_t z = 0; z < slices; z += together) {
    const std::size_t here = std::min(together, slices - z);
    const auto inside = slab.inside.subspan(z * plane, here * plane);
    const auto count = static_cast<std::int64_t>(inside.size()) - std::count(inside.begin(), inside.end(), 0);
    if (count > 0)
      pieces.push_back({z * plane, {small(count + 1), static_cast<int>(here), small(slab.ny), small(slab.nx)}});
  }
  try {
    for (std::size_t p = 0; p < pieces.size() + gpu::dense_slots; ++p) {
      const auto which = static_cast<int>(p % gpu::dense_slots);
      if (p >= gpu::dense_slots) take(slab, which, pieces[p - gpu::dense_slots], maps);
      if (p >= pieces.size()) continue;
      fill(slab, pieces[p], table_.slot(*session_, which), threads);
      check(table_.submit(*session_, which, pieces[p].size));
    }
  } catch (...) {
    table_.destroy(std::exchange(session_, nullptr));  // which waits for what is under way
    throw;
  }
  return maps;
}

}  // namespace perfpipe
