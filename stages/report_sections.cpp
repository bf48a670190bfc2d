#include "stages/report_sections.hpp"

#include "stages/report_rows.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {

using namespace report_rows;

namespace {

/// One row for each parameter of a pair of maker and reference; `columns` are titles and fields of the results.
HtmlTable parameter_table(const std::string& caption, const Json& results,
                          const std::pair<std::string, std::string>& pair,
                          const std::vector<std::pair<const char*, const char*>>& columns) {
  HtmlTable table{caption, {{"Parameter", false}, {"Unit", false}}, {}};
  for (const auto& [title, field] : columns) table.columns.push_back({title});
  for (const auto& row : results.at("errors")) {
    if (!of_pair(row, pair)) continue;
    std::vector<std::string> cells{label_of(text(row, "parameter")), text(row, "units")};
    for (const auto& [title, field] : columns) cells.push_back(shown(row, field));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

}  // namespace

std::string maker_title(const std::string& label) {
  if (label == "cnn") return "bi-CNN";
  if (label == "bsvd") return "bSVD";
  return label;
}

void add_overview(HtmlPage& page, const Json& results) {
  const auto pairs = pairs_of(results);
  if (pairs.empty()) {
    page.note(NoteKind::information,
              "There was nothing to compare: one maker of maps, and no truth beside the series.");
    return;
  }
  const auto& pair = pairs.front();
  const bool as_paper = pair.second != "truth";
  std::vector<Tile> tiles;
  for (const auto& row : results.at("errors"))
    if (of_pair(row, pair))
      tiles.push_back({"ARMSE of " + label_of(text(row, "parameter")), shown(row, "armse"),
                       text(row, "units") + (as_paper ? fmt::format("; paper {}", shown(row, "paper_armse")) : "")});
  for (const auto& row : results.at("dice"))
    if (of_pair(row, pair))
      tiles.push_back({"Dice of the " + label_of(text(row, "mask")) + " mask",
                       fmt::format("{:.3f}", number(row, "dice")),
                       fmt::format("± {:.3f}", number(row, "dice_sd")) +
                           (as_paper ? "; paper " + shown_dice(row, "paper_dice", "paper_dice_sd") : "")});
  page.paragraph(against(pair) +
                 ", each patient by networks that never saw that patient where they were trained here.");
  page.tiles(tiles);
  page.paragraph(
      "The paper's figures are from 11 patients of its own, on another scale of CBF and CBV: they stand beside ours "
      "for "
      "orientation, not as a mark to beat.");
}

void add_error_tables(HtmlPage& page, const Json& results) {
  page.paragraph(
      "ARMSE is the mean over patients of each one's root-mean-square error over all voxels of its mask; against the "
      "simulated truth, over those that have one (CSF and large vessels have none). Errors against a deconvolution say "
      "how "
      "well a network imitates it; errors against the truth say how well either finds what was there. The two must not "
      "be "
      "mixed. The constant predictor gives every voxel the mean of the other patients; the nearest neighbour gives it "
      "the target of the most similar of the fold's training curves (over the AIF's peak), where the job has "
      "`exemplars` "
      "and `neighbours`. Rows that lack patients say so.");
  using Columns = std::vector<std::pair<const char*, const char*>>;
  const Columns in_units{{"ARMSE", "armse"},
                         {"SD over patients", "armse_sd"},
                         {"Paper", "paper_armse"},
                         {"Constant predictor", "constant_armse"},
                         {"Nearest neighbour", "nearest_armse"}};
  const Columns in_percent{{"% of the maximum", "percent_of_maximum"},
                           {"Paper", "paper_percent_of_maximum"},
                           {"% of the paper's denominator", "percent_of_reported_maximum"},
                           {"Paper", "paper_percent_of_reported_maximum"},
                           {"% of the 99th percentile", "percent_of_percentile99"},
                           {"% of the SD", "percent_of_sd"}};
  for (const auto& [caption, all] : {std::pair{"ARMSE: ", in_units}, std::pair{"ARMSE in percent: ", in_percent}})
    for (const auto& pair : pairs_of(results)) {
      Columns columns = all;
      if (pair.second == "truth")  // which the paper had not
        std::erase_if(columns, [](const auto& column) { return std::string_view(column.second).starts_with("paper"); });
      page.table(parameter_table(caption + against(pair), results, pair, columns));
    }
  page.paragraph(
      "The maxima are 1600 ml/100g/min, 201 ml/100g, 25 s and 11 s; the paper's denominator differs for Tmax, 69 s. "
      "Percentages of such maxima say little, as a constant reaches 1 %; those of the 99th percentile and of the SD of "
      "the reference say more.");
  for (const auto& pair : pairs_of(results))
    page.table(parameter_table("Agreement: " + against(pair) + ", means over patients", results, pair,
                               {{"Bias", "bias"},
                                {"Lower limit of agreement", "lower_limit"},
                                {"Upper limit of agreement", "upper_limit"},
                                {"Lin's concordance", "concordance"},
                                {"Correlation", "correlation"}}));
  if (results.at("dice").empty()) return;
  HtmlTable table{"Dice coefficients of the tissue masks",
                  {{"Mask", false}, {"Maps", false}, {"Dice"}, {"SD over patients"}, {"Paper"}, {"Nearest neighbour"}},
                  {}};
  for (const auto& pair : pairs_of(results))
    for (const auto& row : results.at("dice"))
      if (of_pair(row, pair))
        table.rows.push_back({label_of(text(row, "mask")), against(pair), fmt::format("{:.3f}", number(row, "dice")),
                              fmt::format("{:.3f}", number(row, "dice_sd")),
                              shown_dice(row, "paper_dice", "paper_dice_sd"), shown(row, "nearest_dice")});
  page.table(table);
  if (results.contains("seed_comparison")) {
    page.paragraph(text(results.at("seed_comparison"), "line"));
    page.paragraph("The first SD is that of the error over patients, the second that between this run and " +
                   text(results.at("seed_comparison"), "other") +
                   ", with another seed, for one patient; \"larger\" means twice or more, \"smaller\" half or less.");
  }
}

std::vector<std::string> incomplete_notes(const Json& results) {
  std::vector<std::string> notes;
  for (const auto& row : results.at("errors")) {
    if (row.at("missing").empty()) continue;
    std::vector<std::string> names = row.at("missing");
    notes.push_back(fmt::format("The table of {}, {}, is incomplete: without {}.",
                                against({text(row, "maker"), text(row, "reference")}), label_of(text(row, "parameter")),
                                fmt::join(names, ", ")));
  }
  return notes;
}

}  // namespace perfpipe
