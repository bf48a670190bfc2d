#include "stages/plots.hpp"

#include "core/error.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

TEST(RoundTicks, CoverTheRangeInRoundSteps) {
  EXPECT_EQ(round_ticks(0.0, 69.0, 8), (std::vector<double>{0, 10, 20, 30, 40, 50, 60, 70}));
  EXPECT_EQ(round_ticks(-1.0, 3.9, 5), (std::vector<double>{-1, 0, 1, 2, 3, 4}));
  const auto small = round_ticks(0.0, 0.9e-3, 5);
  EXPECT_NEAR(small[1] - small[0], 2e-4, 1e-12);
  EXPECT_GE(small.back(), 0.9e-3);
}

TEST(SvgLines, PutsTheEndsOfALineAtTheEndsOfTheAxes) {
  const std::string svg = svg_lines({{"line", {0, 10}, {0, 5}}}, {"x", "y"});
  // 640 x 300 with margins 62, 14, 30, 46.
  EXPECT_NE(svg.find("d=\"M62.0 254.0L626.0 30.0\""), std::string::npos) << svg;
}

TEST(SvgLines, BreaksALineAtMissingPoints) {
  const std::string svg = svg_lines({{"line", {0, 1, 2, 3, 4}, {0, 1, std::nan(""), 1, 4}}}, {"x", "y"});
  const auto line = svg.find("class=\"line s1\"");
  ASSERT_NE(line, std::string::npos);
  const auto start = svg.find(" d=\"", line) + 4;
  const std::string d = svg.substr(start, svg.find('"', start) - start);
  EXPECT_EQ(count(d, "M"), 2u) << d;
  EXPECT_EQ(count(d, "L"), 2u) << d;
}

TEST(SvgLines, LogarithmicAxisLeavesOutWhatHasNoLogarithm) {
  const std::string svg = svg_lines({{"loss", {1, 2, 3, 4}, {100, 0, -5, 0.1}}}, {"epoch", "loss", true});
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_NE(svg.find(">100</text>"), std::string::npos) << svg;
  EXPECT_NE(svg.find(">0.1</text>"), std::string::npos);
}

TEST(SvgLines, FaintLinesAreNotInTheLegend) {
  const std::string svg = svg_lines({{"candidate", {0, 1}, {0, 1}, true}, {"AIF <mean>", {0, 1}, {1, 2}}}, {"x", "y"});
  EXPECT_EQ(svg.find("candidate"), std::string::npos);
  EXPECT_NE(svg.find("AIF &lt;mean&gt;"), std::string::npos);
}

TEST(SvgLines, SaysWhenThereIsNothingToDraw) {
  EXPECT_NE(svg_lines({}, {"x", "y"}).find("no data to draw"), std::string::npos);
  EXPECT_NE(svg_lines({{"a", {0, 1}, {-1, -2}}}, {"x", "y", true}).find("no data to draw"), std::string::npos);
  EXPECT_EQ(svg_lines({{"constant", {0, 1}, {2, 2}}}, {"x", "y"}).find("nan"), std::string::npos);
}

TEST(SvgLines, RefusesALineWithoutPartners) { EXPECT_THROW(svg_lines({{"a", {0, 1}, {1}}}, {"x", "y"}), IoError); }

TEST(SvgLines, LogarithmicAxesOfLessThanADecadeHaveRoundTicks) {
  const auto svg = svg_lines({{"norm", {1, 2, 3}, {700, 1500, 6000}}}, {"epoch", "norm", true, true});
  for (const char* tick : {">500<", ">1000<", ">2000<", ">5000<", ">10000<"})
    EXPECT_NE(svg.find(tick), std::string::npos) << tick << "\n" << svg;
  EXPECT_EQ(svg.find(">200<"), std::string::npos);
  EXPECT_EQ(svg.find(">20000<"), std::string::npos);
  const auto flat = svg_lines({{"rate", {1, 2}, {0.005, 0.005}}}, {"epoch", "rate", true, true});
  EXPECT_NE(flat.find("<path class=\"line"), std::string::npos) << flat;
  EXPECT_EQ(flat.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace perfpipe
