// Deconvolution on the GPU as the CPU side sees it: memory in slots, one filled while another is computed. No CUDA in
// here: tests put a table in its place whose kernels run on the host.
#pragma once

#include "model/gpu/linear_slab.hpp"

#include <string>

namespace perfpipe::gpu {

inline constexpr int linear_slots = 2;

/// A slot's page-locked memory.
struct LinearSlot {
  float* curves = nullptr;                  ///< [most, N]
  const float* maps = nullptr;              ///< [4, most], after wait()
  const unsigned char* negative = nullptr;  ///< [most]
};

/// Least times of a piece's parts by the GPU's clock, in s.
struct LinearTimes {
  double upload = 0.0, kernel = 0.0, download = 0.0;
};

class LinearSession;

/// GPU side of model/linear_cuda.hpp (core/cuda_library.hpp). Functions return what went wrong, naming the operation;
/// nothing if all went well. A session is used by one thread at a time.
struct LinearCudaTable {
  static constexpr const char* entry = "perfpipe_linear_cuda";
  /// `op` points to matrices in the host's memory; `most` voxels fit in a slot.
  std::string (*create)(int device, const LinearOperator& op, int most, LinearSession*& session);
  LinearSlot (*slot)(LinearSession& session, int which);
  std::string (*submit)(LinearSession& session, int which, int voxels);
  std::string (*wait)(LinearSession& session, int which);
  void (*destroy)(LinearSession* session);
  /// For benches: the least times of `rounds` runs of what submit() starts; null on the host.
  std::string (*measure)(LinearSession& session, int which, int voxels, int rounds, LinearTimes& times) = nullptr;
};

}  // namespace perfpipe::gpu
