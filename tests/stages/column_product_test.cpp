#include "stages/column_product.hpp"

#include "core/random.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

template <class Number>
std::vector<Number> drawn(std::size_t n, Random& random) {
  std::vector<Number> values(n);
  for (auto& x : values) x = static_cast<Number>(random.normal());
  return values;
}

TEST(ColumnProduct, IsTheProductForEveryNumberOfRows) {
  Random random(1, "product");
  constexpr std::size_t inner = 13, columns = 48;
  for (std::size_t rows = 0; rows <= 14; ++rows) {
    const auto a = drawn<float>(rows * inner, random), b = drawn<float>(inner * columns, random);
    std::vector<float> out(rows * columns, 1.0f), added(rows * columns, 1.0f);
    const std::vector<double> wide_a(a.begin(), a.end()), wide_b(b.begin(), b.end());
    std::vector<double> wide(rows * columns);
    multiply_columns(a.data(), rows, inner, b.data(), columns, out.data());
    multiply_columns(a.data(), rows, inner, b.data(), columns, added.data(), true);
    multiply_columns(wide_a.data(), rows, inner, wide_b.data(), columns, wide.data());
    for (std::size_t i = 0; i < rows * columns; ++i) {
      double sum = 0.0;
      for (std::size_t k = 0; k < inner; ++k)
        sum += wide_a[i / columns * inner + k] * wide_b[k * columns + i % columns];
      EXPECT_NEAR(out[i], sum, 1e-5);  // thirteen float products of order 1
      EXPECT_NEAR(added[i], sum + 1.0, 1e-5);
      EXPECT_NEAR(wide[i], sum, 1e-13);
    }
  }
}

TEST(ColumnProduct, NoColumnDependsOnItsPlace) {
  Random random(2, "place");
  constexpr std::size_t rows = 37, inner = 70, columns = 256;
  const auto a = drawn<float>(rows * inner, random), column = drawn<float>(inner, random);
  std::vector<float> b(inner * columns), out(rows * columns);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = column[i / columns];
  multiply_columns(a.data(), rows, inner, b.data(), columns, out.data());
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], out[i / columns * columns]) << i % columns;
}

}  // namespace
}  // namespace perfpipe
