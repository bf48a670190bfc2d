// Which ITK writes the images.
#pragma once

#include <string>

namespace perfpipe {

std::string itk_version();

}  // namespace perfpipe
