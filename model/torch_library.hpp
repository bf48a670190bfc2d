// The part of model/ that computes with LibTorch lies in a shared library of its own, opened when it is first needed:
// LibTorch brings two hundred libraries, which took half a second of every start of the program. Internal to model/:
// callers use model/inference.hpp as if it were all one.
#pragma once

#include "model/inference.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// What is behind a ReferenceEngine (model/inference.hpp).
class ReferenceNetwork {
 public:
  virtual ~ReferenceNetwork() = default;
  virtual const WeightFacts& facts() const = 0;
  virtual std::vector<float> estimate(std::span<const float> curves, std::span<const std::int32_t> neighbours,
                                      std::span<const float> aif) const = 0;
};

/// What the library offers.
struct TorchLibrary {
  std::unique_ptr<const ReferenceNetwork> (*reference_network)(const WeightFile& weights, const std::string& source);
};

/// The LibTorch that the library was built with; does not open it.
std::string torch_library_version();

/// The library's only symbol.
inline constexpr const char* torch_library_symbol = "perfpipe_torch_library";

}  // namespace perfpipe
