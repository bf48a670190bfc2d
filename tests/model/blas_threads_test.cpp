#include "model/blas_threads.hpp"

#include <cblas.h>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

/// A thread that has ended stands in /proc for some moments.
bool threads_become(std::ptrdiff_t count) {
  for (int i = 0; i < 1000 && threads_of_this_process() != count; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return threads_of_this_process() == count;
}

/// Large enough that OpenBLAS shares it among its threads.
void expect_that_a_product_is_right() {
  constexpr int n = 300;
  std::vector<float> a(n * n), identity(n * n, 0.0f), c(n * n, -1.0f);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 101);
  for (std::size_t i = 0; i < n; ++i) identity[i * n + i] = 2.0f;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, a.data(), n, identity.data(), n, 0.0f, c.data(),
              n);
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(c[i], 2.0f * a[i]) << i;
}

TEST(BlasThreads, AreEndedAndMadeAgainOnNeed) {
  ASSERT_NE(blas_description(), "") << "the tests are linked with OpenBLAS";
  use_no_blas_threads();
  const auto alone = threads_of_this_process();
  EXPECT_EQ(blas_threads(), 1);
  expect_that_a_product_is_right();
  EXPECT_TRUE(threads_become(alone));

  use_blas_threads(3);
  EXPECT_EQ(blas_threads(), 3);
  expect_that_a_product_is_right();
  EXPECT_TRUE(threads_become(alone + 2));

  use_no_blas_threads();
  EXPECT_EQ(blas_threads(), 1);
  EXPECT_TRUE(threads_become(alone)) << threads_of_this_process() << " threads live on";
  expect_that_a_product_is_right();
}

}  // namespace
}  // namespace perfpipe
