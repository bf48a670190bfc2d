#include "core/arrays.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(AddTo, AddsInDoubles) {
  for (const std::size_t n : {0, 1, 15, 16, 61}) {
    std::vector<double> sum(n, 0.1);
    std::vector<float> values;
    for (std::size_t i = 0; i < n; ++i) values.push_back(1e-9f * static_cast<float>(i));
    add_to(sum, values);
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(sum[i], 0.1 + static_cast<double>(values[i])) << n;
  }
}

TEST(AllFinite, SeesOneValueThatIsNot) {
  constexpr float most = std::numeric_limits<float>::max();
  for (const std::size_t n : {1, 16, 61})
    for (std::size_t at = 0; at < n; ++at) {
      std::vector<float> values(n, -most);
      values[at] = most;
      EXPECT_TRUE(all_finite(values));
      for (const float bad : {HUGE_VALF, -HUGE_VALF, NAN, -NAN}) {
        values[at] = bad;
        EXPECT_FALSE(all_finite(values)) << n << " " << at;
      }
    }
  EXPECT_TRUE(all_finite({}));
}

}  // namespace
}  // namespace perfpipe
