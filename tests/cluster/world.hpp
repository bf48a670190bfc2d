// The ranks that a test of cluster/ runs on.
#pragma once

#include "core/communicator.hpp"

#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace perfpipe {

/// All ranks of this test program: those of mpirun, or one alone without it (tests/cluster/mpi_main.cpp).
Communicator& world();

/// How many ranks the test was written down for (the environment's PERFPIPE_TEST_RANKS).
int expected_ranks();

/// Waits for a message; an exception after 20 s ends the test, and with it all ranks, where it would hang.
inline Message receive(Communicator& communicator, int from) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (auto message = communicator.try_receive(from, "test")) return *message;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  throw std::runtime_error("no message came from rank " + std::to_string(from));
}

}  // namespace perfpipe
