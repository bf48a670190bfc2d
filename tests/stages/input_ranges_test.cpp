#include "stages/input_ranges.hpp"

#include <array>
#include <stdexcept>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

const InputRanges trained{{interval_range, {1.5, 2.0}}, {window_range, {75.0, 90.0}}, {peak_range, {0.01, 0.4}}};

TEST(InputRanges, AnAcquisitionIsItsMedianIntervalAndItsWindow) {
  const auto met = acquisition(std::array{0.0, 1.0, 2.0, 3.0, 5.0, 7.0});
  EXPECT_EQ(met.interval_s, 1.0);
  EXPECT_EQ(met.window_s, 7.0);
  EXPECT_THROW(acquisition(std::array{1.0}), std::invalid_argument);
}

TEST(InputRanges, MetadataWithoutAnAcquisitionSayNothing) {
  EXPECT_FALSE(acquisition_of(nullptr));
  EXPECT_FALSE(acquisition_of({{"dt_s", 1.0}}));
  EXPECT_EQ(acquisition_of({{"acquired_interval_s", 1.5}, {"acquired_window_s", 80.0}})->window_s, 80.0);
}

TEST(InputRanges, PeaksAreRelativeToTheArterys) {
  const std::vector<float> curves{0, 1, 0, 2, 4, 2, 0, 8, 0}, aif{0, 16, 8};
  EXPECT_EQ(relative_peaks(curves, std::vector<std::uint8_t>{1, 1, 0}, aif), (std::vector<float>{0.0625f, 0.25f}));
  EXPECT_THROW(relative_peaks(curves, std::vector<std::uint8_t>{1, 1}, aif), std::invalid_argument);
}

TEST(InputRanges, WhatWasSeenGivesNoWarning) {
  EXPECT_TRUE(never_seen(trained, Acquisition{1.5, 90.0}, 0.05).empty());
  EXPECT_TRUE(never_seen(trained, Acquisition{2.05, 72.0}, 0.0).empty()) << "within 5 %";
  EXPECT_TRUE(never_seen({}, Acquisition{9.0, 20.0}, 0.0).empty()) << "nothing is known of the training";
  EXPECT_TRUE(never_seen(trained, std::nullopt, 0.0).empty());
}

TEST(InputRanges, WhatWasNotSeenIsSaidWithItsNumbers) {
  const auto found = never_seen(trained, Acquisition{3.0, 50.0}, 0.2);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_NE(found[0].find("is 3 s; the network was trained on 1.5 to 2 s"), std::string::npos) << found[0];
  EXPECT_NE(found[1].find("is 50 s; the network was trained on 75 to 90 s"), std::string::npos) << found[1];
  EXPECT_NE(found[2].find("20.0 % of the tissue curves"), std::string::npos) << found[2];
}

TEST(InputRanges, PeaksAreCountedBeyondTheirRangeAlone) {
  EXPECT_EQ(peaks_beyond(trained, std::array{0.001f, 0.02f, 0.39f, 0.5f, 0.6f}), 3);
  EXPECT_EQ(peaks_beyond({}, std::array{0.001f}), 0);
}

TEST(InputRanges, AnEnsembleHasSeenWhatAnyOfItsNetworksHas) {
  const InputRanges other{{interval_range, {1.0, 1.6}}, {window_range, {80.0, 120.0}}};
  EXPECT_EQ(united(std::array{trained, other}),
            (InputRanges{{interval_range, {1.0, 2.0}}, {window_range, {75.0, 120.0}}}));
  EXPECT_EQ(united({}), InputRanges{});
}

}  // namespace
}  // namespace perfpipe
