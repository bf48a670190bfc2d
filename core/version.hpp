// The program's version, and that of the HDF5 library in use.
#pragma once

#include <string>
#include <string_view>

namespace perfpipe {

inline constexpr std::string_view version = PERFPIPE_VERSION;

std::string hdf5_version();

}  // namespace perfpipe
