// The network as the paper's authors ran it: patch by patch in batches, as 3D convolutions of a deep-learning library,
// both chains for every patch.
#pragma once

#include "core/parameters.hpp"

#include <cstdint>
#include <functional>

namespace perfpipe::bench {

/// A function that estimates `patches` patches [3, 3, 70] in batches of `batch` with LibTorch's own convolutions, on
/// the calling thread, with weights of no meaning.
std::function<void()> patchwise_network(Parameter parameter, std::int64_t patches, std::int64_t batch);

/// The same on LibTorch's GPU, waiting for it at the end; null where LibTorch sees none.
std::function<void()> patchwise_network_on_gpu(Parameter parameter, std::int64_t patches, std::int64_t batch);

}  // namespace perfpipe::bench
