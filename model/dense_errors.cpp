#include "model/dense_errors.hpp"

#include "core/error.hpp"

#include <string>

namespace perfpipe {
namespace {

std::string words_for(const VoxelPlace& place) {
  return "voxel x " + std::to_string(place.x) + ", y " + std::to_string(place.y) + ", z " + std::to_string(place.z);
}

}  // namespace

void refuse_curve(const VoxelPlace& place) {
  throw InputError("the tissue curve of " + words_for(place) +
                   " is not finite or out of all proportion to the AIF; leave it out of the mask or check the AIF");
}

void refuse_estimate(Parameter parameter, const VoxelPlace& place) {
  throw InputError("the " + std::string(facts(parameter).label) + " network's estimate for " + words_for(place) +
                   " is not finite: its curves or the network's weights are out of range");
}

}  // namespace perfpipe
