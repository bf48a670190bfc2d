// Runs the tests of cluster/ on the ranks that mpirun started, or on one without MPI: the same tests, the same result.
#include "cluster/mpi_communicator.hpp"
#include "cluster/serial_communicator.hpp"
#include "tests/cluster/world.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

Communicator* the_world = nullptr;

/// Says on which rank something failed, and ends all ranks then: the others may wait for this one in a collective.
class RankListener : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", world().rank(), result.file_name(), result.line_number(),
                 result.message());
    if (world().size() > 1) MpiRuntime::abort_all(1);
  }
};

int run_tests(Communicator& communicator) {
  the_world = &communicator;
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (communicator.rank() != 0) delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new RankListener);
  return RUN_ALL_TESTS();
}

}  // namespace

Communicator& world() { return *the_world; }

int expected_ranks() {
  const char* const ranks = std::getenv("PERFPIPE_TEST_RANKS");
  return ranks == nullptr ? 0 : std::atoi(ranks);
}

TEST(Ranks, AreAsManyAsTheTestIsWrittenDownFor) {
  ASSERT_EQ(world().size(), expected_ranks()) << "PERFPIPE_TEST_RANKS says how many ranks there must be";
}

}  // namespace perfpipe

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!perfpipe::started_under_mpi()) return perfpipe::run_tests(*perfpipe::make_serial_communicator());
  perfpipe::MpiRuntime mpi(argc, argv);
  const auto world = mpi.world();
  return perfpipe::run_tests(*world);
}
