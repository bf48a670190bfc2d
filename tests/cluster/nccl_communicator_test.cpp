// The NCCL communicator over real ranks and a false NCCL: sums, and every way in which it can fail.
#include "cluster/device_communicators.hpp"
#include "core/error.hpp"
#include "tests/cluster/false_nccl.hpp"
#include "tests/cluster/world.hpp"

#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using false_nccl::Call;
using false_nccl::Fault;
using Clock = std::chrono::steady_clock;

/// Long enough for eight ranks on a busy machine, short enough for a test.
constexpr NcclLimits limits{std::chrono::milliseconds(3000), std::chrono::milliseconds(3000),
                            std::chrono::milliseconds(1000)};
constexpr NcclLimits short_limits{std::chrono::milliseconds(400), std::chrono::milliseconds(400),
                                  std::chrono::milliseconds(1000)};

NcclPlace place() { return {0, "GPU-" + std::to_string(world().rank())}; }
bool last_rank() { return world().rank() == world().size() - 1; }
bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::unique_ptr<DeviceCommunicator> make(Fault fault = {}, const NcclLimits& within = limits) {
  false_nccl::reset(world(), fault);
  return make_nccl_communicator(world(), false_nccl::table(), place(), within);
}

struct Failure {
  std::string text = "no exception";
  double seconds = 0.0;
};

/// Makes a communicator and sums, as a training would, until something fails.
Failure failure_of(Fault fault, const NcclLimits& within = limits) {
  const auto start = Clock::now();
  Failure failure;
  try {
    const auto gpu = make(fault, within);
    std::vector<std::int64_t> gradients{1, 2, 3};
    for (int step = 0; step < 3; ++step) {
      gpu->allreduce_sum(gradients.data(), gradients.size(), nullptr, "gradients of step 7");
      gpu->wait(nullptr, "gradients of step 7");
    }
  } catch (const DeviceError& error) {
    EXPECT_EQ(error.code(), ExitCode::device);
    failure.text = error.what();
  }
  failure.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  world().barrier("all ranks have ended");
  return failure;
}

/// On the faulty (last) rank and on all others the same words come, which name that rank and the call.
void expect_all_know(const Failure& failure, const std::string& what, const std::string& why, double within) {
  const int guilty = world().size() - 1;
  EXPECT_TRUE(holds(failure.text, what)) << failure.text;
  EXPECT_TRUE(holds(failure.text, "rank " + std::to_string(guilty) + " of " + std::to_string(world().size()) +
                                      " on GPU-" + std::to_string(guilty)))
      << failure.text;
  EXPECT_TRUE(holds(failure.text, why)) << failure.text;
  EXPECT_LT(failure.seconds, within);
  EXPECT_EQ(false_nccl::counts().calls_after_abort, 0);
  EXPECT_LE(false_nccl::counts().abort, 1);
}

Fault on_last_rank(Call call, Fault::Kind kind) { return last_rank() ? Fault{call, kind} : Fault{}; }

class Nccl : public testing::Test {
 protected:
  void TearDown() override { false_nccl::release(); }
};

TEST_F(Nccl, SumsAsMpiDoes) {
  const auto gpu = make();
  EXPECT_EQ(gpu->rank(), world().rank());
  EXPECT_EQ(gpu->size(), world().size());
  for (int step = 0; step < 5; ++step) {
    std::vector<std::int64_t> values{1, world().rank() + step, -world().rank() * 1'000'000'007LL,
                                     INT64_MAX / world().size() - 3};
    auto expected = values;
    world().allreduce_sum(expected, "test");
    gpu->allreduce_sum(values.data(), values.size(), nullptr, "test");
    gpu->wait(nullptr, "test");
    EXPECT_EQ(values, expected);
  }
  EXPECT_EQ(false_nccl::counts().calls_while_busy, 0) << "a call of NCCL is done before the next is made";
}

TEST_F(Nccl, FindsTheMaximum) {
  const auto gpu = make();
  std::vector<double> values{1.0 * world().rank(), -1.0 * world().rank(), -INFINITY};
  gpu->allreduce_max(values.data(), values.size(), nullptr, "test");
  gpu->wait(nullptr, "test");
  EXPECT_EQ(values, (std::vector<double>{world().size() - 1.0, 0.0, -INFINITY}));
}

TEST_F(Nccl, IsEndedInOrderAndOnce) {
  make().reset();
  EXPECT_EQ(false_nccl::counts().finalize, 1);
  EXPECT_EQ(false_nccl::counts().destroy, 1);
  EXPECT_EQ(false_nccl::counts().abort, 0);
  EXPECT_EQ(false_nccl::counts().calls_while_busy, 0);
  EXPECT_EQ(false_nccl::counts().calls_after_abort, 0);
}

TEST_F(Nccl, AnErrorAtItsEndLosesNothing) {
  make(on_last_rank(Call::finalize, Fault::Kind::error)).reset();
  EXPECT_TRUE(!last_rank() || false_nccl::counts().abort == 1);  // others may have ended before they hear of it
  make(on_last_rank(Call::destroy, Fault::Kind::error)).reset();
  EXPECT_TRUE(!last_rank() || false_nccl::counts().abort == 1);
  world().barrier("test");
}

TEST_F(Nccl, TwoRanksOnOneGpuAreRefusedBeforeNcclIsAsked) {
  if (world().size() == 1) return;
  false_nccl::reset(world());
  try {
    make_nccl_communicator(world(), false_nccl::table(), {0, "GPU-same"}, limits);
    FAIL() << "no exception";
  } catch (const DeviceError& error) {
    EXPECT_TRUE(holds(error.what(), "ranks 0 and 1 are both on GPU-same")) << error.what();
  }
  EXPECT_EQ(false_nccl::counts().init, 0);
  world().barrier("test");
}

TEST_F(Nccl, AnErrorOfTheUniqueIdIsToldToAll) {
  const auto failure = failure_of(world().rank() == 0 ? Fault{Call::unique_id, Fault::Kind::error} : Fault{});
  EXPECT_TRUE(holds(failure.text, "rank 0 of ")) << failure.text;
  EXPECT_TRUE(holds(failure.text, "ncclGetUniqueId: false remote error")) << failure.text;
  EXPECT_EQ(false_nccl::counts().init, 0);
}

TEST_F(Nccl, AnErrorOfTheStartEndsAll) {
  expect_all_know(failure_of(on_last_rank(Call::init, Fault::Kind::error)), "starting NCCL",
                  "ncclCommInitRankConfig: false remote error", 2.5);
  expect_all_know(failure_of(on_last_rank(Call::init, Fault::Kind::later_error)), "starting NCCL",
                  "ncclCommInitRankConfig: false remote error (more words)", 2.5);
  EXPECT_EQ(false_nccl::counts().abort, 1) << "whoever had a communicator gave it up";
}

TEST_F(Nccl, AnErrorOfASumEndsAll) {
  expect_all_know(failure_of(on_last_rank(Call::all_reduce, Fault::Kind::error)), "gradients of step 7",
                  "ncclAllReduce: false remote error (more words)", 2.5);
  EXPECT_EQ(false_nccl::counts().abort, 1);
  expect_all_know(failure_of(on_last_rank(Call::all_reduce, Fault::Kind::later_error)), "gradients of step 7",
                  "ncclAllReduce: false remote error", 2.5);
  EXPECT_EQ(false_nccl::counts().abort, 1);
  expect_all_know(failure_of(on_last_rank(Call::async_error, Fault::Kind::error)), "gradients of step 7",
                  "ncclCommGetAsyncError: false remote error", 2.5);
  EXPECT_EQ(false_nccl::counts().abort, 1);
}

TEST_F(Nccl, AnErrorThatEndsTheGpusWorkIsNotTakenForItsEnd) {
  expect_all_know(failure_of(on_last_rank(Call::async_error, Fault::Kind::later_error)), "gradients of step 7",
                  "ncclAllReduce: false remote error", 2.5);
  EXPECT_EQ(false_nccl::counts().abort, 1);
}

TEST_F(Nccl, AFailedStreamEndsAll) {
  expect_all_know(failure_of(on_last_rank(Call::stream, Fault::Kind::error)), "gradients of step 7",
                  "the GPU's stream failed: an illegal memory access", 2.5);
  EXPECT_EQ(false_nccl::counts().abort, 1);
}

// Whoever is first to notice tells the others: which rank that is, is chance.
TEST_F(Nccl, WhatIsNeverDoneEndsAtTheLimit) {
  const std::pair<Call, const char*> faults[] = {{Call::init, "ncclCommInitRankConfig is not done after 0.4 s"},
                                                 {Call::all_reduce, "ncclAllReduce is not done after 0.4 s"},
                                                 {Call::stream, "ncclAllReduce is not done after 0.4 s"}};
  for (const auto& [call, words] : faults) {
    // A start is done on all ranks or on none.
    const Fault fault{call == Call::init || last_rank() ? call : Call::none, Fault::Kind::never_done};
    const auto failure = failure_of(fault, short_limits);
    EXPECT_TRUE(holds(failure.text, words)) << failure.text;
    EXPECT_TRUE(holds(failure.text, "another rank hangs or has ended")) << failure.text;
    EXPECT_LT(failure.seconds, 3.0);
    EXPECT_EQ(false_nccl::counts().abort, 1);
  }
}

TEST_F(Nccl, ARankThatStaysAwayIsNoticed) {
  if (world().size() == 1) return;
  const auto start = Clock::now();
  {
    const auto gpu = make({}, short_limits);
    std::vector<std::int64_t> values{1};
    if (!last_rank()) {
      gpu->allreduce_sum(values.data(), 1, nullptr, "a sum for some");
      EXPECT_THROW(gpu->wait(nullptr, "a sum for some"), DeviceError);
      EXPECT_THROW(gpu->allreduce_sum(values.data(), 1, nullptr, "one more"), DeviceError) << "it stays given up";
    }
    world().barrier("test");
  }
  EXPECT_LT(std::chrono::duration<double>(Clock::now() - start).count(), 3.0);
}

TEST_F(Nccl, TheWayBetweenRanksFollowsFromWhatTheySay) {
  EXPECT_EQ(why_not_nccl({"A", "B"}, {"", ""}), "");
  EXPECT_EQ(why_not_nccl({"A", "B", "A"}, {"", "", ""}), "ranks 0 and 2 share A");
  EXPECT_EQ(why_not_nccl({"A", "B"}, {"", "no library"}), "rank 1: no library");
  EXPECT_NE(why_not_nccl({"A"}, {""}), "");
}

std::string copy(void* to, const void* from, std::size_t bytes, void*) {
  std::memcpy(to, from, bytes);
  return "";
}
std::string no_copy(void*, const void*, std::size_t, void*) { return "a copy failed"; }
std::string nothing(void*) { return ""; }

TEST(HostSums, AreThoseOfMpi) {
  const CudaCopyTable copies{copy, copy, nothing};
  const auto gpu = make_host_communicator(world(), copies, {0, "GPU-shared"});
  std::vector<std::int64_t> values{world().rank(), INT64_MAX / world().size() - 3};
  auto expected = values;
  world().allreduce_sum(expected, "test");
  gpu->allreduce_sum(values.data(), values.size(), nullptr, "test");
  gpu->wait(nullptr, "test");
  EXPECT_EQ(values, expected);
  std::vector<double> largest{1.0 * world().rank()};
  gpu->allreduce_max(largest.data(), 1, nullptr, "test");
  EXPECT_EQ(largest[0], world().size() - 1.0);
}

TEST(HostSums, AFailedCopyNamesRankAndOperation) {
  const CudaCopyTable copies{no_copy, copy, nothing};
  const auto gpu = make_host_communicator(world(), copies, {0, "GPU-shared"});
  std::int64_t value = 1;
  if (world().size() == 1) return gpu->allreduce_sum(&value, 1, nullptr, "one rank sums nothing");
  try {
    gpu->allreduce_sum(&value, 1, nullptr, "gradients");
    FAIL() << "no exception";
  } catch (const DeviceError& error) {
    EXPECT_TRUE(holds(error.what(), "gradients: rank " + std::to_string(world().rank()))) << error.what();
    EXPECT_TRUE(holds(error.what(), "a copy failed")) << error.what();
  }
  world().barrier("test");
}

}  // namespace
}  // namespace perfpipe
