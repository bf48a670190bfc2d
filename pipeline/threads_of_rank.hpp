// How many threads a rank may compute with, so that the ranks of a node together use its cores once.
#pragma once

#include "core/communicator.hpp"

#include <string>
#include <vector>

namespace perfpipe {

/// Collective. The sum over the cores that this rank may use of 1 / (ranks that may use that core), at least 1: right
/// for bound and unbound ranks and for more ranks than cores.
int threads_of_this_rank(Communicator& communicator);

/// The rule itself: `cores[r]` are the names ("host/3") of the cores that rank r may use.
int share_of_cores(const std::vector<std::vector<std::string>>& cores, int rank);

}  // namespace perfpipe
