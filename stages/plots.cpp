#include "stages/plots.hpp"

#include "core/error.hpp"
#include "stages/html.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr double left = 62.0;
constexpr double right = 14.0;
constexpr double legend_top = 30.0;  // of a legend of one row
constexpr double bottom = 46.0;
constexpr int colours = 8;
constexpr double legend_row = 16.0;

/// Maps an axis' values to pixels.
struct Scale {
  double low = 0.0, high = 1.0, from = 0.0, to = 1.0;
  bool logarithmic = false;
  double at(double value) const {
    const double v = logarithmic ? std::log10(value) : value;
    return from + (v - low) / (high - low) * (to - from);
  }
  bool shows(double value) const { return std::isfinite(value) && (!logarithmic || value > 0.0); }
};

/// Scale over all values that can be shown, with round ends; false if there are none.
bool fit(Scale& scale, const std::vector<PlotLine>& lines, std::vector<double> PlotLine::*values,
         std::vector<double>& ticks, int count) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const auto& line : lines)
    for (double value : line.*values)
      if (scale.shows(value)) {
        const double v = scale.logarithmic ? std::log10(value) : value;
        low = std::min(low, v);
        high = std::max(high, v);
      }
  if (low > high) return false;
  if (low == high) {
    low -= 0.5;
    high += 0.5;
  }
  if (scale.logarithmic && high - low >= 1.0) {
    for (double p = std::floor(low); p <= std::ceil(high); p += 1.0) ticks.push_back(p);
  } else if (scale.logarithmic) {  // less than a decade: 1, 2, 5, 10 around all values
    for (double p = std::floor(low); p <= std::ceil(high); p += 1.0)
      for (double m : {1.0, 2.0, 5.0}) {
        const double tick = p + std::log10(m);
        if (!ticks.empty() && tick <= low) ticks.clear();
        if (ticks.empty() || ticks.back() < high) ticks.push_back(tick);
      }
  } else {
    ticks = round_ticks(low, high, count);
  }
  scale.low = ticks.front();
  scale.high = ticks.back();
  if (scale.logarithmic)
    for (double& tick : ticks) tick = std::pow(10.0, tick);
  return true;
}

std::string tick_text(double value) {
  if (std::abs(value) < 1e-12) return "0";
  return std::abs(value) < 1000.0 ? fmt::format("{:.4g}", value) : fmt::format("{:.6g}", value);
}

std::string text(double x, double y, const char* anchor, const std::string& words, const char* more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     html_escape(words));
}

std::string path(const PlotLine& line, const Scale& sx, const Scale& sy) {
  std::string d;
  bool pen_down = false;
  for (std::size_t i = 0; i < line.x.size(); ++i) {
    const bool shown = sx.shows(line.x[i]) && sy.shows(line.y[i]);
    if (shown) d += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", sx.at(line.x[i]), sy.at(line.y[i]));
    pen_down = shown;
  }
  return d;
}

/// Where the legend's entries stand, from its first row on: into the next row where one would leave the plot.
std::vector<std::pair<double, double>> legend_places(const std::vector<PlotLine>& lines, double width) {
  std::vector<std::pair<double, double>> places;
  double x = left, y = 0.0;
  for (const auto& line : lines) {
    if (line.faint) continue;
    const double needed = 42.0 + 7.0 * static_cast<double>(line.name.size());
    if (x > left && x + needed > width) {
      x = left;
      y += legend_row;
    }
    places.emplace_back(x, y);
    x += needed;
  }
  return places;
}

}  // namespace

std::vector<double> round_ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double decade = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10.0 * decade;
  for (double s : {1.0, 2.0, 5.0})
    if (s * decade >= rough * (1.0 - 1e-9)) {
      step = s * decade;
      break;
    }
  std::vector<double> ticks;
  const auto first = static_cast<long>(std::floor(low / step + 1e-9));
  const auto last = static_cast<long>(std::ceil(high / step - 1e-9));
  for (long i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string svg_lines(const std::vector<PlotLine>& lines, const PlotAxes& axes) {
  for (const auto& line : lines)
    if (line.x.size() != line.y.size())
      throw IoError(
          fmt::format("plot line \"{}\": {} x values and {} y values", line.name, line.x.size(), line.y.size()));
  const double width = axes.compact ? 380.0 : 640.0;
  const auto legend = legend_places(lines, width);
  const double top = legend.empty() ? legend_top : legend_top + legend.back().second;
  const double height = (axes.compact ? 240.0 : 270.0) + top;
  std::string svg =
      fmt::format("<svg class=\"plot\" font-size=\"12\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", width,
                  height, html_escape(axes.y_title + " over " + axes.x_title));
  Scale sx{0.0, 1.0, left, width - right, false};
  Scale sy{0.0, 1.0, height - bottom, top, axes.log_y};
  std::vector<double> x_ticks;
  std::vector<double> y_ticks;
  if (!fit(sx, lines, &PlotLine::x, x_ticks, axes.compact ? 5 : 8) || !fit(sy, lines, &PlotLine::y, y_ticks, 5))
    return svg + text(width / 2, height / 2, "middle", "no data to draw") + "</svg>\n";

  for (double tick : x_ticks) svg += text(sx.at(tick), height - bottom + 18, "middle", tick_text(tick));
  for (double tick : y_ticks) {
    svg += fmt::format(
        "<path class=\"grid\" stroke=\"currentColor\" stroke-opacity=\".15\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", left,
        sy.at(tick), width - right);
    svg += text(left - 8, sy.at(tick) + 4, "end", tick_text(tick));
  }
  svg += fmt::format(
      "<path class=\"axis\" fill=\"none\" stroke=\"currentColor\" d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\"/>\n", left,
      top, height - bottom, width - right);
  svg += text((left + width - right) / 2, height - 8, "middle", axes.x_title);
  if (!axes.compact)
    svg += text(0, 0, "middle", axes.y_title,
                fmt::format(" transform=\"translate(14 {:.1f}) rotate(-90)\"", (top + height - bottom) / 2).c_str());

  int colour = 0;
  for (const auto& line : lines) {
    if (line.faint) {
      svg +=
          fmt::format("<path class=\"faint\" fill=\"none\" stroke=\"currentColor\" d=\"{}\"/>\n", path(line, sx, sy));
      continue;
    }
    const auto& [x, y] = legend[static_cast<std::size_t>(colour)];
    const int which = colour++ % colours + 1;
    svg += fmt::format("<path class=\"line s{}\" fill=\"none\" stroke=\"currentColor\" d=\"{}\"/>\n", which,
                       path(line, sx, sy));
    svg += fmt::format("<path class=\"line s{}\" fill=\"none\" stroke=\"currentColor\" d=\"M{:.1f} {:.0f}h18\"/>\n",
                       which, x, 12.0 + y);
    svg += text(x + 24, 16.0 + y, "start", line.name);
  }
  return svg + "</svg>\n";
}

}  // namespace perfpipe
