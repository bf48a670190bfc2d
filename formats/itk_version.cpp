#include "formats/itk_version.hpp"

#include <itkVersion.h>

namespace perfpipe {

std::string itk_version() { return itk::Version::GetITKVersion(); }

}  // namespace perfpipe
