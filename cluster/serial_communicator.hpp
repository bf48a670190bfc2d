// One rank alone: every collective is the identity.
#pragma once

#include <memory>

#include "core/communicator.hpp"

namespace perfpipe {

std::unique_ptr<Communicator> make_serial_communicator();

}  // namespace perfpipe
