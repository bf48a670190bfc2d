// What needs a real GPU: run by ctest where there is one, and by tools/gpu-check. On any number of ranks.
#include "cluster/cuda_devices.hpp"
#include "cluster/device_communicators.hpp"
#include "cluster/placement.hpp"
#include "core/cuda_library.hpp"
#include "core/error.hpp"
#include "tests/cluster/world.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cuda_runtime.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// Skips, with the reason, where there is no GPU; chooses this rank's where there is.
class Gpu : public testing::Test {
 protected:
  void SetUp() override {
    std::string problem;
    gpus_ = visible_cuda_devices(problem);
    if (gpus_.empty()) GTEST_SKIP() << "no GPU: " << problem;
    device_ = place_this_rank(world(), DeviceChoice::cuda, gpus_, problem, placement_);
    ASSERT_EQ(cudaSetDevice(device_.index), cudaSuccess);
  }
  NcclPlace place() const { return {device_.index, gpus_.at(static_cast<std::size_t>(device_.index)).uuid}; }

  std::vector<CudaDevice> gpus_;
  Placement placement_;
  Device device_;
};

/// Numbers in GPU memory.
template <class T>
class OnGpu {
 public:
  explicit OnGpu(const std::vector<T>& values) : count_(values.size()) {
    EXPECT_EQ(cudaMalloc(&at_, count_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(at_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~OnGpu() { static_cast<void>(cudaFree(at_)); }
  OnGpu(const OnGpu&) = delete;
  OnGpu& operator=(const OnGpu&) = delete;
  T* data() { return static_cast<T*>(at_); }
  std::vector<T> values() const {
    std::vector<T> values(count_);
    EXPECT_EQ(cudaMemcpy(values.data(), at_, count_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  std::size_t count_;
  void* at_ = nullptr;
};

std::vector<std::int64_t> numbers_of_rank(std::size_t count) {
  std::vector<std::int64_t> numbers(count);
  for (std::size_t i = 0; i < count; ++i)
    numbers[i] = (INT64_MAX / world().size() - static_cast<std::int64_t>(i)) *
                 ((i + static_cast<std::size_t>(world().rank())) % 2 == 0 ? 1 : -1);
  return numbers;
}

void expect_sums_of_mpi(DeviceCommunicator& gpu) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{1000}, std::size_t{1'000'003}}) {
    const auto mine = numbers_of_rank(count);
    auto expected = mine;
    world().allreduce_sum(expected, "test");
    OnGpu<std::int64_t> numbers(mine);
    gpu.allreduce_sum(numbers.data(), count, nullptr, "sum");
    gpu.wait(nullptr, "sum");
    EXPECT_EQ(numbers.values(), expected) << count;
  }
  OnGpu<double> largest({1.0 * world().rank(), -INFINITY});
  gpu.allreduce_max(largest.data(), 2, nullptr, "maximum");
  gpu.wait(nullptr, "maximum");
  EXPECT_EQ(largest.values(), (std::vector<double>{world().size() - 1.0, -INFINITY}));
}

TEST_F(Gpu, IsNamed) {
  for (const auto& gpu : gpus_) {
    EXPECT_NE(gpu.name, "");
    EXPECT_EQ(gpu.uuid.size(), std::string("GPU-00000000-0000-0000-0000-000000000000").size()) << gpu.uuid;
    EXPECT_GT(gpu.memory_bytes, std::size_t{1} << 30);
    EXPECT_GE(gpu.major, 8);
  }
}

TEST_F(Gpu, Computes) {
  for (std::size_t i = 0; i < gpus_.size(); ++i)
    EXPECT_EQ(cuda_table<CudaDeviceTable>().try_out(static_cast<int>(i)), "") << gpus_[i].name;
}

TEST_F(Gpu, RanksAreSpreadOverAllGpus) {
  EXPECT_TRUE(placement_.cuda);
  const auto gpus = static_cast<int>(gpus_.size());
  EXPECT_EQ(placement_.most_ranks_on_one_gpu, (world().size() + gpus - 1) / gpus);
}

TEST_F(Gpu, SumsThroughTheHostAreThoseOfMpi) {
  const auto gpu = make_host_communicator(world(), cuda_table<CudaCopyTable>(), place());
  expect_sums_of_mpi(*gpu);
}

// One rank on one GPU is a communicator too: all calls of NCCL are made.
TEST_F(Gpu, SumsThroughNcclAreThoseOfMpi) {
  const auto& nccl = cuda_table<NcclTable>();
  ASSERT_EQ(nccl.problem(), "");
  if (placement_.most_ranks_on_one_gpu > 1) GTEST_SKIP() << "more ranks than GPUs: NCCL needs one for each";
  const auto gpu = make_nccl_communicator(world(), nccl, place());
  expect_sums_of_mpi(*gpu);
}

TEST_F(Gpu, RanksThatShareOneAreRefusedByTheNcclCommunicator) {
  if (placement_.most_ranks_on_one_gpu < 2) GTEST_SKIP() << "no more ranks than GPUs";
  EXPECT_THROW(make_nccl_communicator(world(), cuda_table<NcclTable>(), place()), DeviceError);
}

TEST_F(Gpu, TheWayBetweenRanksIsChosen) {
  std::string how;
  const auto gpu = make_device_communicator(world(), place(), how);
  const bool nccl = world().size() > 1 && placement_.most_ranks_on_one_gpu == 1;
  EXPECT_EQ(how.starts_with("NCCL 2."), nccl) << how;
  expect_sums_of_mpi(*gpu);
}

}  // namespace
}  // namespace perfpipe
