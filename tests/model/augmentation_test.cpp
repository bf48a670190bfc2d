#include "model/augmentation.hpp"

#include "model/training.hpp"
#include "model/training_batches.hpp"
#include "tests/model/synthetic.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

Recipe varied() {
  Recipe recipe;
  recipe.symmetries = true;
  recipe.gain = 2.0;
  recipe.shift = 3;
  recipe.stream = "augmentation_test";
  return recipe;
}

TEST(PatchSymmetry, IsTheGroupOfTheSquare) {
  std::set<std::array<std::uint8_t, 9>> all;
  for (unsigned which = 0; which < 8; ++which) {
    const auto from = patch_symmetry(which);
    all.insert(from);
    EXPECT_EQ(from[4], 4) << "the centre stays";
    // Neighbours stay neighbours: corners go to corners, edges to edges.
    for (const int corner : {0, 2, 6, 8}) EXPECT_TRUE(from[static_cast<std::size_t>(corner)] % 2 == 0) << which;
    EXPECT_EQ(std::set(from.begin(), from.end()).size(), 9u) << "each position once";
  }
  EXPECT_EQ(all.size(), 8u);
  std::array<std::uint8_t, 9> identity{};
  std::iota(identity.begin(), identity.end(), std::uint8_t{0});
  EXPECT_EQ(patch_symmetry(0), identity);
}

TEST(ShiftCurve, FillsWithZerosAndHoldsTheEnd) {
  const std::vector<float> curve{1, 2, 3, 4, 5};
  const auto shifted = [&](std::int64_t by) {
    auto copy = curve;
    shift_curve(copy, by);
    return copy;
  };
  EXPECT_EQ(shifted(0), curve);
  EXPECT_EQ(shifted(2), (std::vector<float>{0, 0, 1, 2, 3}));
  EXPECT_EQ(shifted(-2), (std::vector<float>{3, 4, 5, 5, 5}));
  EXPECT_EQ(shifted(9), (std::vector<float>(5, 0.0f)));
}

TEST(Augmentation, IsDrawnAnewForEachStepAndTheSameEverywhere) {
  const auto recipe = varied();
  const auto all = [&](std::int64_t epoch, std::size_t step) {
    const Augmentation draws(recipe, epoch, step, 400, 9);
    std::vector<double> values;
    for (std::size_t i = 0; i < 400; ++i) {
      values.push_back(static_cast<double>(draws.gain(i)));
      values.push_back(draws.symmetry(i)[0] * 10 + draws.symmetry(i)[1]);
    }
    for (std::size_t p = 0; p < 9; ++p) values.push_back(static_cast<double>(draws.shift(p)));
    return values;
  };
  EXPECT_EQ(all(1, 0), all(1, 0));
  EXPECT_NE(all(1, 0), all(1, 1));
  EXPECT_NE(all(1, 0), all(2, 0));

  const Augmentation draws(recipe, 1, 0, 400, 9);
  std::vector<float> gains;
  for (std::size_t i = 0; i < 400; ++i) gains.push_back(draws.gain(i));
  const auto [low, high] = std::minmax_element(gains.begin(), gains.end());
  EXPECT_GE(*low, 0.5f);
  EXPECT_LE(*high, 2.0f);
  EXPECT_LT(*low, 0.6f);
  EXPECT_GT(*high, 1.8f);
  for (std::size_t p = 0; p < 9; ++p) EXPECT_LE(std::abs(draws.shift(p)), 3);
}

TEST(Augmentation, ChangesCurvesAndTargetTogether) {
  const auto set = synthetic_set(40, 3, "augmented");
  std::vector<std::size_t> order(40);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const Parameter p : {Parameter::cbf, Parameter::mtt}) {
    const auto view = set.view(p);
    Batches plain(view, p, 10.0), varied_batches(view, p, 10.0);
    const auto patients = plain.choose(order);
    EXPECT_EQ(varied_batches.choose(order), patients);
    const std::vector<float> aifs(plain.aifs().begin(), plain.aifs().end());
    const Augmentation draws(varied(), 1, 0, 40, patients);
    const auto moved = varied_batches.aifs(draws);
    std::vector<float> before(40 * 630), after(40 * 630);
    const auto rows = plain.gather(0, 40, before);
    const std::vector<std::int32_t> row_of(rows.begin(), rows.end());
    varied_batches.gather(0, 40, after);
    for (std::size_t row = 0; row < patients; ++row) {
      std::vector<float> expected(aifs.begin() + static_cast<std::ptrdiff_t>(row * 70),
                                  aifs.begin() + static_cast<std::ptrdiff_t>(row * 70 + 70));
      shift_curve(expected, draws.shift(row));
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), moved.begin() + static_cast<std::ptrdiff_t>(row * 70)));
    }
    for (std::size_t s = 0; s < 40; ++s) {
      const double gain = static_cast<double>(draws.gain(s));
      EXPECT_NEAR(varied_batches.target(s), plain.target(s) * (p == Parameter::cbf ? gain : 1.0), 1e-4) << s;
      for (std::size_t place = 0; place < 9; ++place) {
        const auto from = before.begin() + static_cast<std::ptrdiff_t>((s * 9 + draws.symmetry(s)[place]) * 70);
        std::vector<float> expected(from, from + 70);
        shift_curve(expected, draws.shift(static_cast<std::size_t>(row_of[s])));
        for (std::size_t t = 0; t < 70; ++t)
          ASSERT_NEAR(after[(s * 9 + place) * 70 + t], static_cast<float>(gain) * expected[t],
                      1e-5f * std::abs(expected[t]) + 1e-12f);
      }
    }
  }
}

TEST(Augmentation, LeavesTheBitsOfATrainingToSeedAndStream) {
  const auto set = synthetic_set(300, 3, "augmented");
  auto recipe = varied();
  recipe.parameter = Parameter::cbf;
  recipe.learning_rate = 5e-5;
  recipe.input_scale = 1.0;
  recipe.epochs = 2;
  const auto run = [&](const Recipe& r) { return flatten(train(r, set.view(Parameter::cbf), PatchSet{}).tensors); };
  const auto first = run(recipe);
  EXPECT_EQ(run(recipe), first);
  auto plain = recipe;
  plain.symmetries = false;
  plain.gain = 1.0;
  plain.shift = 0;
  EXPECT_NE(run(plain), first);
}

}  // namespace
}  // namespace perfpipe
