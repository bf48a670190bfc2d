// What the shared library of model/ is made of (model/torch_library.hpp). Internal to model/.
#pragma once

#include "model/torch_library.hpp"

namespace perfpipe {

/// See ReferenceEngine's constructor.
std::unique_ptr<const ReferenceNetwork> make_reference_network(const WeightFile& weights, const std::string& source);

}  // namespace perfpipe

/// The entry that the program looks up.
extern "C" const perfpipe::TorchLibrary* perfpipe_torch_library();
