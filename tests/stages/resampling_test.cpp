#include "stages/resampling.hpp"

#include "core/random.hpp"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// As many CT protocols: 1 s, later 2 to 3 s.
const std::vector<double> uneven{0.0, 1.0, 2.0, 3.1, 4.0, 6.0, 8.0, 10.5, 13.0, 16.0, 19.0, 22.0, 25.0};

std::vector<double> regular(std::size_t frames, double tr) {
  std::vector<double> times;
  for (std::size_t i = 0; i < frames; ++i) times.push_back(static_cast<double>(i) * tr);
  return times;
}

std::vector<float> sampled(const std::vector<double>& times, const std::function<double(double)>& f) {
  std::vector<float> values;
  for (double t : times) values.push_back(static_cast<float>(f(t)));
  return values;
}

std::vector<float> resampled(const std::vector<double>& times, const TimeGrid& grid, bool cubic,
                             const std::vector<float>& curve) {
  std::vector<float> result(static_cast<std::size_t>(grid.samples), -1.0f);
  Resampler(times, grid, cubic).apply(curve, result);
  return result;
}

TEST(Resampler, IsExactOnALineAtUnevenTimes) {
  const auto line = [](double t) { return 3.0 - 0.25 * t; };
  const TimeGrid grid{0.3, 0.7, 35};
  for (const bool cubic : {false, true}) {
    const auto found = resampled(uneven, grid, cubic, sampled(uneven, line));
    for (std::int64_t i = 0; i < grid.samples; ++i)
      EXPECT_NEAR(found[static_cast<std::size_t>(i)], line(grid.start + 0.7 * static_cast<double>(i)), 1e-6)
          << i;  // float32 of 3
  }
}

TEST(Resampler, LinearIsTheChordBetweenTwoFrames) {
  const auto found = resampled({0.0, 2.0, 3.0}, {0.0, 0.5, 7}, false, {0.0f, 4.0f, -4.0f});
  EXPECT_EQ(found, (std::vector<float>{0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 0.0f, -4.0f}));
}

TEST(Resampler, CubicIsExactOnAQuadraticAwayFromTheEnds) {
  const auto parabola = [](double t) { return 0.5 * t * t - 3.0 * t + 1.0; };
  for (const auto& times : {uneven, regular(20, 1.4)}) {
    const TimeGrid grid{times[1], 0.3, 60};
    const auto found = resampled(times, grid, true, sampled(times, parabola));
    for (std::int64_t i = 0; i < grid.samples; ++i) {
      const double t = grid.start + 0.3 * static_cast<double>(i);
      if (t > times[times.size() - 2]) break;
      EXPECT_NEAR(found[static_cast<std::size_t>(i)], parabola(t), 2e-5) << t;  // float32 of values up to 200
    }
  }
}

TEST(Resampler, CubicIsBetterThanLinearOnABolus) {
  const auto bolus = [](double t) { return t > 8.0 ? std::pow(t - 8.0, 3.0) * std::exp(-(t - 8.0) / 1.5) : 0.0; };
  const auto times = regular(45, 1.6);
  double error[2] = {0.0, 0.0};
  for (const bool cubic : {false, true}) {
    const auto found = resampled(times, {0.0, 1.0, 70}, cubic, sampled(times, bolus));
    for (int i = 0; i < 70; ++i) error[cubic] += std::abs(found[static_cast<std::size_t>(i)] - bolus(i));
  }
  EXPECT_LT(error[1], 0.5 * error[0]);
}

TEST(Resampler, OnItsOwnGridIsTheIdentity) {
  Random random(1, "resampling");
  const auto times = regular(161, 1.243);
  std::vector<float> curve;
  for (int i = 0; i < 161; ++i) curve.push_back(static_cast<float>(random.normal()));
  for (const bool cubic : {false, true}) EXPECT_EQ(resampled(times, {0.0, 1.243, 161}, cubic, curve), curve);
  const auto choice = choose_grid(times, 1.243, 161, 30.0, 10.0);
  EXPECT_EQ(choice.grid.start, 0.0);
  EXPECT_EQ(choice.held_seconds, 0.0);
  EXPECT_EQ(choice.skipped_seconds, 0.0);
}

TEST(Resampler, HoldsTheEndsBeyondTheFrames) {
  for (const bool cubic : {false, true}) {
    const auto found = resampled({1.0, 2.0, 3.0}, {-1.0, 1.0, 8}, cubic, {5.0f, 6.0f, 9.0f});
    EXPECT_EQ(found[0], 5.0f);
    EXPECT_EQ(found[1], 5.0f);
    EXPECT_EQ(found[2], 5.0f);
    EXPECT_EQ(found[3], 6.0f);
    for (std::size_t i = 4; i < 8; ++i) EXPECT_EQ(found[i], 9.0f);
  }
}

TEST(Resampler, KeepsAConstantAsItIs) {
  for (const bool cubic : {false, true})
    for (const float x : resampled(uneven, {0.05, 0.37, 60}, cubic, std::vector<float>(uneven.size(), 7.0f)))
      EXPECT_NEAR(x, 7.0f, 1e-6);
}

TEST(ChooseGrid, AShortSeriesStartsAtItsFirstFrameAndHoldsItsEnd) {
  const auto choice = choose_grid(regular(26, 2.0), 1.0, 70, 20.0, 10.0);  // 50 s
  EXPECT_EQ(choice.grid.start, 0.0);
  EXPECT_EQ(choice.grid.samples, 70);
  EXPECT_NEAR(choice.held_seconds, 19.0, 0.002);  // the window ends at 69 s
  EXPECT_EQ(choice.skipped_seconds, 0.0);
}

TEST(ChooseGrid, ALongSeriesStartsBeforeItsBolus) {
  const auto choice = choose_grid(regular(121, 1.5), 1.0, 70, 48.0, 10.0);  // 180 s
  EXPECT_EQ(choice.grid.start, 38.0);
  EXPECT_EQ(choice.skipped_seconds, 38.0);
  EXPECT_EQ(choice.held_seconds, 0.0);
}

TEST(ChooseGrid, TheWindowStaysWithinTheSeries) {
  const auto times = regular(61, 1.5);                                  // 90 s
  EXPECT_EQ(choose_grid(times, 1.0, 70, 4.0, 10.0).grid.start, 0.0);    // not before the first frame
  EXPECT_EQ(choose_grid(times, 1.0, 70, 60.0, 10.0).grid.start, 21.0);  // 21 + 69 = 90
  EXPECT_EQ(choose_grid(times, 1.0, 70, 60.0, 10.0).held_seconds, 0.0);
}

TEST(ChooseGrid, CountsFromTheFirstFrameThatIsThere) {
  // Two frames out of steady state were dropped: times start at 4 s.
  std::vector<double> times = regular(30, 2.0);
  times.erase(times.begin(), times.begin() + 2);
  EXPECT_EQ(choose_grid(times, 1.0, 70, 20.0, 10.0).grid.start, 4.0);
}

TEST(Resampler, HasTheBitsOfPlainArithmeticWhateverTheProcessor) {
  // Thirds of two floats often lie next to halfway between floats: there a fused product rounds otherwise.
  std::vector<double> times;
  for (int t = 0; t < 60; ++t) times.push_back(1.5 * t);
  const Resampler resampler(times, {0.0, 1.0, 70}, false);
  Random random(1, "resampling");
  std::vector<float> curve(times.size()), resampled(70);
  for (int round = 0; round < 300; ++round) {
    for (float& c : curve) c = static_cast<float>(random.uniform(-1.0, 60.0));
    resampler.apply(curve, resampled);
    for (std::size_t i = 0; i < resampled.size(); ++i) {
      const auto k = static_cast<std::size_t>(static_cast<double>(i) / 1.5);
      const double u = (static_cast<double>(i) - times[k]) / 1.5;
      const double first = (1.0 - u) * static_cast<double>(curve[k]), second = u * static_cast<double>(curve[k + 1]);
      ASSERT_EQ(resampled[i], static_cast<float>(first + second)) << i;
    }
  }
}

}  // namespace
}  // namespace perfpipe
