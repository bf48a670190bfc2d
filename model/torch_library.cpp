#include "model/torch_parts.hpp"

extern "C" const perfpipe::TorchLibrary* perfpipe_torch_library() {
  static constexpr perfpipe::TorchLibrary library{perfpipe::make_reference_network};
  return &library;
}
