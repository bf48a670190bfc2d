#include "stages/report_rows.hpp"
#include "stages/report_sections.hpp"

#include <cstdlib>

namespace perfpipe {

using namespace report_rows;

namespace {

/// Distinct values of a field, in the order of the rows that fit.
template <class Fits>
std::vector<std::string> distinct(const Json& rows, const char* field, Fits&& fits) {
  std::vector<std::string> values;
  for (const auto& row : rows)
    if (fits(row) && std::find(values.begin(), values.end(), text(row, field)) == values.end())
      values.push_back(text(row, field));
  return values;
}

bool is_number(const std::string& level) {
  char* end = nullptr;
  std::strtod(level.c_str(), &end);
  return !level.empty() && *end == '\0';
}

/// The rows of one parameter by one factor.
struct FactorRows {
  std::string factor, parameter, units;
  std::vector<std::string> levels, makers;
  std::vector<Json> rows;

  FactorRows(const Json& all, const std::string& by, const std::string& of) : factor(by), parameter(of) {
    const auto fits = [&](const Json& row) {
      return text(row, "factor") == factor && text(row, "parameter") == parameter;
    };
    levels = distinct(all, "level", fits);
    makers = distinct(all, "maker", fits);
    for (const auto& row : all)
      if (fits(row)) rows.push_back(row);
    units = rows.empty() ? "" : text(rows.front(), "units");
  }
  const Json* find(const std::string& maker, const std::string& level) const {
    for (const auto& row : rows)
      if (text(row, "maker") == maker && text(row, "level") == level) return &row;
    return nullptr;
  }
  bool numeric() const { return levels.size() > 1 && std::all_of(levels.begin(), levels.end(), is_number); }
  bool has_dice() const {
    return std::any_of(rows.begin(), rows.end(), [](const Json& row) { return row.contains("dice"); });
  }

  HtmlTable table() const {
    HtmlTable table{fmt::format("{} by {}: bias / RMSE in {}{}", label_of(parameter), factor, units,
                                has_dice() ? "; Dice of Tmax > 6 s" : ""),
                    {{"Maps", false}},
                    {}};
    for (const auto& level : levels) table.columns.push_back({level});
    for (const auto& maker : makers) {
      std::vector<std::string> cells{maker_title(maker)};
      for (const auto& level : levels) {
        const Json* const row = find(maker, level);
        cells.push_back(row == nullptr ? "–" : shown(*row, "bias") + " / " + shown(*row, "rmse"));
        if (row != nullptr && row->contains("dice")) cells.back() += fmt::format("; {:.3f}", number(*row, "dice"));
      }
      table.rows.push_back(std::move(cells));
    }
    return table;
  }
  TitledPlot plot(const char* field, const char* title) const {
    std::vector<PlotLine> lines;
    for (const auto& maker : makers) {
      PlotLine line{maker_title(maker), {}, {}};
      for (const auto& level : levels)
        if (const Json* const row = find(maker, level)) {
          line.x.push_back(std::strtod(level.c_str(), nullptr));
          line.y.push_back(number(*row, field));
        }
      lines.push_back(std::move(line));
    }
    return {fmt::format("{} of {}, {}", title, label_of(parameter), units),
            svg_lines(lines, {factor, units, false, true})};
  }
};

}  // namespace

void add_conditions(HtmlPage& page, const Json& results) {
  const Json& rows = results.at("conditions");
  page.paragraph(
      "Against the simulated truth, by each factor that the phantom varies, over all levels of the others. Bias is the "
      "mean of estimate less truth. tables/conditions.csv has every combination by itself.");
  const auto any = [](const Json&) { return true; };
  for (const auto& parameter : distinct(rows, "parameter", any)) {
    page.begin_fold(label_of(parameter), true);
    std::vector<TitledPlot> plots;
    for (const auto& factor : distinct(rows, "factor", any)) {
      const FactorRows of_factor(rows, factor, parameter);
      page.table(of_factor.table());
      if (!of_factor.numeric()) continue;
      plots.push_back(of_factor.plot("bias", "Bias"));
      plots.push_back(of_factor.plot("rmse", "RMSE"));
    }
    if (!plots.empty()) page.plots(plots, label_of(parameter) + " over the factors that are numbers");
    page.end_fold();
  }
}

}  // namespace perfpipe
