// Line plots as SVG, for curves that a page shows inline.
#pragma once

#include <string>
#include <vector>

namespace perfpipe {

struct PlotLine {
  std::string name;  ///< in the legend
  std::vector<double> x;
  std::vector<double> y;
  bool faint = false;  ///< many curves behind one (candidates behind the AIF): thin, and not in the legend
};

struct PlotAxes {
  std::string x_title;
  std::string y_title;
  bool log_y = false;    ///< decimal logarithm; points at or below 0 are left out
  bool compact = false;  ///< smaller, to stand beside others in a row under a title of its own
};

/// An SVG element with axes, ticks at round numbers, one line per series and a legend. Colours come from the page's CSS
/// (`currentColor` for axes, classes s1 to s8 for lines), so that light and dark pages both work. Points that are not
/// finite break a line. Without any point to draw it returns a plot that says so. Throws IoError if a line's x and y
/// differ in length.
std::string svg_lines(const std::vector<PlotLine>& lines, const PlotAxes& axes);

/// Round numbers covering [low, high], about `count` of them, steps of 1, 2 or 5 times a power of ten.
std::vector<double> round_ticks(double low, double high, int count);

}  // namespace perfpipe
