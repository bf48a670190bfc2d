// The table of deconvolution whose kernels run on the host: what libperfpipe_cuda.so does, without a GPU.
#pragma once

#include "model/gpu/linear_table.hpp"

#include <vector>

namespace perfpipe::gpu {

class LinearSession {
 public:
  LinearOperator op;
  int most = 0;
  struct Slot {
    std::vector<float> curves, maps;
    std::vector<unsigned char> negative;
    bool busy = false;
  } slots[linear_slots];
};

inline const LinearCudaTable& host_linear_table() {
  static const LinearCudaTable table{
      [](int, const LinearOperator& op, int most, LinearSession*& session) {
        session = new LinearSession{op, most, {}};
        for (auto& slot : session->slots) {
          slot.curves.resize(static_cast<std::size_t>(most * op.samples));
          slot.maps.resize(static_cast<std::size_t>(4 * most));
          slot.negative.resize(static_cast<std::size_t>(most));
        }
        return std::string();
      },
      [](LinearSession& session, int which) {
        auto& s = session.slots[which];
        return LinearSlot{s.curves.data(), s.maps.data(), s.negative.data()};
      },
      [](LinearSession& session, int which, int voxels) {
        auto& s = session.slots[which];
        if (s.busy) return std::string("the slot is in work");
        s.busy = true;
        const LinearSlab slab{s.curves.data(), voxels, s.maps.data(), session.most, s.negative.data()};
        run_on_host(2, 1, linear_threads,
                    static_cast<std::size_t>(linear_floats(session.op.samples, session.op.rank)) * sizeof(float),
                    [&](const HostBlock& block) { linear_deconvolution(block, session.op, slab); });
        return std::string();
      },
      [](LinearSession& session, int which) {
        auto& s = session.slots[which];
        if (!s.busy) return std::string("the slot is idle");
        s.busy = false;
        return std::string();
      },
      [](LinearSession* session) { delete session; }};
  return table;
}

}  // namespace perfpipe::gpu
