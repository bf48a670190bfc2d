// One rank alone: every collective is the identity.
#pragma once

#include "core/communicator.hpp"

#include <memory>

namespace perfpipe {

std::unique_ptr<Communicator> make_serial_communicator();

}  // namespace perfpipe
