// `perfpipe weights FILE...`: what a weight file holds, for people.
#pragma once

#include "core/error.hpp"
#include "model/weights.hpp"

#include <string>
#include <vector>

namespace perfpipe {

/// What a tensor of our networks does, in the paper's words: "ctc.conv1.weight" -> "tissue chain, L1 to L2: 32 filters
/// of 1x1x36, in time". Empty for names that our networks do not have.
std::string layer_meaning(const std::string& tensor);

/// The listing of one file: parameter, architecture, metadata, and for each tensor its shape and the least, greatest
/// and mean value and the SD (of the population), with the number of weights at the end. Whatever the file holds, the
/// text is printable. `problem` (why the program would not use the file as a network) is shown where it is not empty.
std::string weights_listing(const WeightFile& file, const std::string& source, const std::string& problem);

/// Prints the listing of every file; what is no weight file, or not one of our networks, is told on the error stream
/// and makes the result ExitCode::input.
ExitCode print_weights(const std::vector<std::string>& files);

}  // namespace perfpipe
