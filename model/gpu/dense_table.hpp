// Dense inference on the GPU as the CPU side sees it: memory in slots, each filled, computed and read in turns, so that
// one is filled while another is copied and a third is computed. No CUDA in here: tests put a table in its place whose
// kernels run on the host.
#pragma once

#include "model/gpu/dense_layout.hpp"

#include <string>
#include <vector>

namespace perfpipe::gpu {

/// One to fill, one on its way to the GPU, one in work.
inline constexpr int dense_slots = 3;

/// The largest piece of a volume that a slot takes.
struct DenseLimits {
  int rows = 0;     ///< voxels inside, and the zero curve
  int voxels = 0;   ///< of whole slices
  int windows = 0;  ///< slices (ny + 1) (nx + 1)
  bool fits_into(const DenseLimits& other) const {
    return rows <= other.rows && voxels <= other.voxels && windows <= other.windows;
  }
};

/// A slot's page-locked memory, as DenseSlab (model/gpu/dense_slab.hpp) names it.
struct DenseSlot {
  float* curves = nullptr;           ///< [rows, 70]
  int* row_of = nullptr;             ///< [slices, ny, nx]
  int* voxel_of = nullptr;           ///< [rows]
  const float* estimates = nullptr;  ///< [networks, limits.rows], after wait()
};

struct DensePiece {
  int rows = 0, slices = 0, ny = 0, nx = 0;
};

/// A network: its weights and the factor of its curves.
struct DenseNetworkOnGpu {
  PackedLayers layers;
  float factor = 1.0f;
};

/// The lowest rows of a network's piece that are out of range; none_bad (model/gpu/dense_slab.hpp) where none is.
struct DenseFindings {
  int bad_curve, bad_estimate;
};

/// Seconds of one piece on the GPU, by its own clock; the kernels' are sums over networks.
struct DenseTimes {
  double upload = 0.0, features = 0.0, windows = 0.0, head = 0.0, download = 0.0;
};

class DenseSession;

/// GPU side of model/dense_cuda.hpp (core/cuda_library.hpp). Functions return what went wrong, naming the operation;
/// nothing if all went well. A session is used by one thread at a time.
struct DenseCudaTable {
  static constexpr const char* entry = "perfpipe_dense_cuda";
  /// Takes memory on a device (kept from a session before it where that suffices) and copies the networks there.
  std::string (*create)(int device, Arithmetic arithmetic, const std::vector<DenseNetworkOnGpu>& networks,
                        const DenseLimits& limits, DenseSession*& session);
  DenseSlot (*slot)(DenseSession& session, int which);
  /// Starts a slot's copy to the GPU, all networks, and the copy of their estimates back. Does not wait.
  std::string (*submit)(DenseSession& session, int which, const DensePiece& piece);
  /// Waits for a slot's estimates; `findings` [networks].
  std::string (*wait)(DenseSession& session, int which, DenseFindings* findings);
  void (*destroy)(DenseSession* session);
  /// For benches: a slot's piece alone, step by step, the least time of `rounds` for each; null on the host.
  std::string (*measure)(DenseSession& session, int which, const DensePiece& piece, int rounds,
                         DenseTimes& times) = nullptr;
};

}  // namespace perfpipe::gpu
