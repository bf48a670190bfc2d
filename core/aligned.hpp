// Memory whose start is aligned to a cache line, as vector kernels want it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace perfpipe {

/// Zeros at first.
class AlignedFloats {
 public:
  explicit AlignedFloats(std::size_t count = 0) { resize(count); }
  /// Keeps what is there; new values are zeros.
  void resize(std::size_t count) {
    lines_.resize((count + 15) / 16);
    size_ = count;
  }
  std::size_t size() const { return size_; }
  float* data() { return lines_.empty() ? nullptr : lines_.front().values.data(); }
  const float* data() const { return lines_.empty() ? nullptr : lines_.front().values.data(); }
  std::span<float> span() { return {data(), size_}; }
  std::span<const float> span() const { return {data(), size_}; }

 private:
  struct alignas(64) CacheLine {
    std::array<float, 16> values{};
  };
  std::vector<CacheLine> lines_;
  std::size_t size_ = 0;
};

}  // namespace perfpipe
