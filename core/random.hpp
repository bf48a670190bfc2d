// Counter-based random numbers: the same (seed, stream) gives the same sequence on every machine, rank and thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace perfpipe {

/// Philox4x32-10 (Salmon et al., SC 2011). A `stream` names what the numbers are for (a patient, a fold), so that
/// adding one patient changes no other patient's numbers.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream);
  /// The stream is a hash of a name such as "phantom/sub-03/noise".
  Random(std::uint64_t seed, std::string_view stream_name);

  std::uint32_t next_u32();
  std::uint64_t next_u64();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, n), without modulo bias; n > 0.
  std::uint64_t below(std::uint64_t n);
  /// Standard normal (Box-Muller).
  double normal();

 private:
  void refill();
  std::array<std::uint32_t, 4> counter_{};
  std::array<std::uint32_t, 2> key_{};
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

}  // namespace perfpipe
