// The table of dense inference whose kernels run on the host: what libperfpipe_cuda.so does, without a GPU.
#pragma once

#include "model/gpu/dense_exact.hpp"
#include "model/gpu/dense_table.hpp"
#include "model/gpu/dense_tensor_features.hpp"
#include "model/gpu/dense_tensor_layers.hpp"

#include <cmath>
#include <limits>
#include <memory>

namespace perfpipe::gpu {

class DenseSession {
 public:
  Arithmetic arithmetic;
  std::vector<DenseNetworkOnGpu> networks;
  DenseLimits limits;
  struct Slot {
    std::vector<float> curves, estimates, l3, l4;
    std::vector<int> row_of, voxel_of;
    std::vector<DenseFindings> findings;
    bool busy = false;
  } slots[dense_slots];
};

namespace host {

inline constexpr int warps = 3, blocks = 2;  // fewer than tiles, and no power of two

inline DenseLayers layers_of(const DenseNetworkOnGpu& network) {
  const auto at = [&](LayerPart part) { return network.layers.floats.data() + network.layers.offsets[part]; };
  return {at(conv1_part),      at(conv1_bias_part), at(conv2_part),    at(conv2_bias_part), at(conv3_part),
          at(conv3_bias_part), at(fc6_part),        at(fc6_bias_part), at(fc7_part),        at(fc7_bias_part),
          at(fc8_part),        at(fc8_bias_part),   network.factor};
}

template <class Body>
void run(int shared_floats, const Body& body) {
  run_on_host(blocks, 1, warps * warp_lanes, static_cast<std::size_t>(shared_floats) * sizeof(float), body);
}

inline void compute_exactly(const DenseLayers& w, const DenseSlab& slab, bool pooled) {
  if (pooled)
    run(exact_pooled_floats(warps), [&](const HostBlock& block) { exact_features<true>(block, w, slab); });
  else
    run(exact_features_floats(warps), [&](const HostBlock& block) { exact_features<false>(block, w, slab); });
  run(exact_windows_floats(warps), [&](const HostBlock& block) { exact_windows(block, w, slab); });
  run(exact_head_floats(warps), [&](const HostBlock& block) { exact_head(block, w, slab); });
}

template <int Parts>
void compute_by_fragments(const DenseLayers& w, const DenseSlab& slab, bool pooled) {
  if (pooled)
    run(tensor_features_floats(warps, false),
        [&](const HostBlock& block) { tensor_features<Parts, true, false>(block, w, slab); });
  else if (Parts == 1)
    run(tensor_features_floats(warps, true),
        [&](const HostBlock& block) { tensor_features<Parts, false, true>(block, w, slab); });
  else
    run(tensor_features_floats(warps, false),
        [&](const HostBlock& block) { tensor_features<Parts, false, false>(block, w, slab); });
  run(tensor_windows_floats(), [&](const HostBlock& block) { tensor_windows<Parts>(block, w, slab); });
  run(tensor_head_floats(), [&](const HostBlock& block) { tensor_head<Parts>(block, w, slab); });
}

inline std::string create(int, Arithmetic arithmetic, const std::vector<DenseNetworkOnGpu>& networks,
                          const DenseLimits& limits, DenseSession*& session) {
  session = new DenseSession{arithmetic, networks, limits, {}};
  const auto rows = static_cast<std::size_t>(limits.rows);
  for (auto& slot : session->slots) {
    slot.curves.resize(rows * curve_floats);
    slot.row_of.resize(static_cast<std::size_t>(limits.voxels));
    slot.voxel_of.resize(rows);
    slot.estimates.resize(networks.size() * rows);
    slot.l3.resize(rows * feature_floats);
    slot.l4.resize(static_cast<std::size_t>(limits.windows) * feature_floats);
    slot.findings.resize(networks.size());
  }
  return "";
}

inline DenseSlot slot(DenseSession& session, int which) {
  auto& s = session.slots[which];
  return {s.curves.data(), s.row_of.data(), s.voxel_of.data(), s.estimates.data()};
}

inline std::string submit(DenseSession& session, int which, const DensePiece& piece) {
  auto& s = session.slots[which];
  if (s.busy) return "slot " + std::to_string(which) + " is in work";
  if (piece.rows > session.limits.rows || piece.slices * piece.ny * piece.nx > session.limits.voxels ||
      piece.slices * (piece.ny + 1) * (piece.nx + 1) > session.limits.windows)
    return "piece too large";
  s.busy = true;
  // Behind the last row there is nothing to read: NaN would show.
  std::vector<float> curves(s.curves.begin(), s.curves.begin() + piece.rows * curve_floats);
  std::vector<int> voxel_of(s.voxel_of.begin(), s.voxel_of.begin() + piece.rows);
  for (std::size_t n = 0; n < session.networks.size(); ++n) {
    std::fill(s.l3.begin(), s.l3.end(), std::nanf(""));
    std::fill(s.l4.begin(), s.l4.end(), std::nanf(""));
    s.findings[n] = {none_bad, none_bad};
    const DenseSlab slab{curves.data(),
                         s.row_of.data(),
                         voxel_of.data(),
                         piece.rows,
                         piece.slices,
                         piece.ny,
                         piece.nx,
                         s.l3.data(),
                         s.l4.data(),
                         s.estimates.data() + n * static_cast<std::size_t>(session.limits.rows),
                         &s.findings[n].bad_curve,
                         &s.findings[n].bad_estimate};
    const auto layers = layers_of(session.networks[n]);
    const bool pooled = session.networks[n].layers.pooled;
    if (session.arithmetic == Arithmetic::exact) compute_exactly(layers, slab, pooled);
    if (session.arithmetic == Arithmetic::tf32) compute_by_fragments<1>(layers, slab, pooled);
    if (session.arithmetic == Arithmetic::tf32_twice) compute_by_fragments<2>(layers, slab, pooled);
  }
  return "";
}

inline std::string wait(DenseSession& session, int which, DenseFindings* findings) {
  auto& s = session.slots[which];
  if (!s.busy) return "slot " + std::to_string(which) + " is idle";
  s.busy = false;
  std::copy(s.findings.begin(), s.findings.end(), findings);
  return "";
}

inline void destroy(DenseSession* session) { delete session; }

}  // namespace host

inline const DenseCudaTable& host_dense_table() {
  static constexpr DenseCudaTable table{host::create, host::slot, host::submit, host::wait, host::destroy};
  return table;
}

}  // namespace perfpipe::gpu
