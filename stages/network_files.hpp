// The trained networks of a folder.
#pragma once

#include "core/parameters.hpp"

#include <filesystem>
#include <map>
#include <vector>

namespace perfpipe {

/// The weight files of each parameter in one of three kinds of folder: networks (cbf.safetensors, cbv..., mtt...,
/// tmax...), folders of networks (without-sub-01/, without-sub-02/, ...), or a run's output that holds such folders in
/// weights/. In the order of their names; a parameter without any is not in the map.
std::map<Parameter, std::vector<std::filesystem::path>> network_files(const std::filesystem::path& folder);

}  // namespace perfpipe
