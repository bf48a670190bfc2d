#include "stages/report_sections.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

using Json = nlohmann::ordered_json;

/// Dice of the paper's masks (section V.D).
constexpr const char* paper_dice(const std::string& mask) { return mask == "cbf" ? "0.830 ± 0.109" : "0.811 ± 0.071"; }

/// Training samples and epochs of the paper (section V.A and V.B), by parameter.
constexpr std::array<std::int64_t, 4> paper_samples{97110, 91950, 87080, 74850};
constexpr std::int64_t paper_epochs = 10;

std::string label_of(const std::string& parameter) {
  for (Parameter p : all_parameters)
    if (name(p) == parameter) return std::string(facts(p).label);
  return parameter;
}

std::string text(const Json& row, const char* field) { return row.at(field).get<std::string>(); }
double number(const Json& row, const char* field) {
  return row.at(field).is_number() ? row.at(field).get<double>() : std::nan("");
}
std::string shown(const Json& row, const char* field, int digits = 3) {
  return shown_number(number(row, field), digits);
}

/// The pairs (maker, reference) in the order of the results.
std::vector<std::pair<std::string, std::string>> pairs_of(const Json& results) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& row : results.at("errors")) {
    const std::pair pair{text(row, "maker"), text(row, "reference")};
    if (std::find(pairs.begin(), pairs.end(), pair) == pairs.end()) pairs.push_back(pair);
  }
  // Against the targets first: that is what the paper reports.
  std::stable_partition(pairs.begin(), pairs.end(), [](const auto& pair) { return pair.second != "truth"; });
  return pairs;
}

bool of_pair(const Json& row, const std::pair<std::string, std::string>& pair) {
  return text(row, "maker") == pair.first && text(row, "reference") == pair.second;
}

std::string against(const std::pair<std::string, std::string>& pair) {
  return maker_title(pair.first) + " against " +
         (pair.second == "truth" ? "the simulated truth" : maker_title(pair.second));
}

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
                           (as_paper ? std::string("; paper ") + paper_dice(text(row, "mask")) : "")});
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
      "mixed. The constant predictor gives every voxel the mean of the other patients.");
  for (const auto& pair : pairs_of(results)) {
    std::vector<std::pair<const char*, const char*>> columns{
        {"ARMSE", "armse"},
        {"SD over patients", "armse_sd"},
        {"Paper", "paper_armse"},
        {"Constant predictor", "constant_armse"},
        {"% of the maximum", "percent_of_maximum"},
        {"% of the paper's denominator", "percent_of_reported_maximum"},
        {"% of the 99th percentile", "percent_of_percentile99"},
        {"% of the SD", "percent_of_sd"}};
    if (pair.second == "truth") columns.erase(columns.begin() + 2);  // the paper has no truth
    page.table(parameter_table("ARMSE: " + against(pair), results, pair, columns));
  }
  page.paragraph(
      "The maxima are 1600 ml/100g/min, 201 ml/100g, 25 s and 11 s; the paper's denominator differs for Tmax, 69 s. "
      "Percentages of such maxima say little, as a constant reaches 1 %; those of the 99th percentile and of the SD of "
      "the reference say more.");
  for (const auto& pair : pairs_of(results))
    page.table(
        parameter_table("Agreement: " + against(pair) + ", means over patients", results, pair,
                        {{"Bias", "bias"}, {"Lin's concordance", "concordance"}, {"Correlation", "correlation"}}));
  if (results.at("dice").empty()) return;
  HtmlTable table{"Dice coefficients of the tissue masks",
                  {{"Mask", false}, {"Maps", false}, {"Dice"}, {"SD over patients"}, {"Paper"}},
                  {}};
  for (const auto& pair : pairs_of(results))
    for (const auto& row : results.at("dice"))
      if (of_pair(row, pair))
        table.rows.push_back({label_of(text(row, "mask")), against(pair), fmt::format("{:.3f}", number(row, "dice")),
                              fmt::format("{:.3f}", number(row, "dice_sd")),
                              pair.second == "truth" ? "–" : paper_dice(text(row, "mask"))});
  page.table(table);
}

void add_patient_tables(HtmlPage& page, const Json& results) {
  for (const auto& pair : pairs_of(results)) {
    HtmlTable table{"Each patient: " + against(pair), {{"Patient", false}}, {}};
    std::vector<std::pair<std::string, std::vector<std::string>>> rows;  // by patient, in the order of first appearance
    const auto put = [&](const Json& row, const std::string& title, const auto& cell) {
      table.columns.push_back({title});
      for (const auto& patient : row.at("patients")) {
        const std::string who = text(patient, "patient");
        auto at = std::find_if(rows.begin(), rows.end(), [&](const auto& known) { return known.first == who; });
        if (at == rows.end()) at = rows.insert(rows.end(), {who, {}});
        at->second.resize(table.columns.size() - 2, "–");  // a patient without this map
        at->second.push_back(cell(patient));
      }
      for (auto& known : rows) known.second.resize(table.columns.size() - 1, "–");
    };
    for (const auto& row : results.at("errors"))
      if (of_pair(row, pair))
        put(row, fmt::format("RMSE {} ({})", label_of(text(row, "parameter")), text(row, "units")),
            [](const Json& patient) { return shown(patient, "rmse"); });
    for (const auto& row : results.at("dice")) {
      if (!of_pair(row, pair)) continue;
      const std::string mask = label_of(text(row, "mask"));
      put(row, "Dice " + mask, [](const Json& patient) {
        return fmt::format("{:.3f}{}", number(patient, "dice"),
                           patient.at("both_empty").get<bool>() ? " (both empty)" : "");
      });
      put(row, mask + " volume (ml)", [](const Json& patient) { return shown(patient, "volume_ml"); });
      put(row, mask + " volume, reference (ml)",
          [](const Json& patient) { return shown(patient, "reference_volume_ml"); });
    }
    for (auto& [who, cells] : rows) {
      cells.insert(cells.begin(), who);
      table.rows.push_back(std::move(cells));
    }
    page.table(table);
  }
}

std::vector<std::string> reduced_budget_notes(const std::vector<TrainingView>& trainings) {
  std::vector<std::string> notes;
  for (Parameter p : all_parameters) {
    std::int64_t reduced = 0, all = 0, epochs = 0, samples = 0;
    for (const auto& t : trainings) {
      if (t.parameter != p) continue;
      ++all;
      if (t.epochs >= paper_epochs && t.samples >= paper_samples[index(p)]) continue;
      if (reduced++ == 0 || t.epochs * t.samples < epochs * samples) {
        epochs = t.epochs;
        samples = t.samples;
      }
    }
    if (reduced > 0)
      notes.push_back(
          fmt::format("{}: {} of {} trainings had a smaller budget than the paper's {} epochs of {} samples; the "
                      "smallest {} of {}.",
                      facts(p).label, reduced, all, paper_epochs, paper_samples[index(p)], epochs, samples));
  }
  return notes;
}

void add_trainings(HtmlPage& page, const std::vector<TrainingView>& trainings) {
  for (Parameter p : all_parameters) {
    std::vector<PlotLine> lines;
    const TrainingView* first = nullptr;
    for (const auto& t : trainings) {
      if (t.parameter != p) continue;
      if (first == nullptr) first = &t;
      std::vector<double> epoch;
      for (std::size_t i = 0; i < t.validation_loss.size(); ++i) epoch.push_back(static_cast<double>(i + 1));
      if (&t != first) lines.push_back({t.held_out, epoch, t.validation_loss, true});
    }
    if (first == nullptr) continue;
    page.heading(std::string(facts(p).label));
    std::vector<double> epoch;
    for (std::size_t i = 0; i < first->training_loss.size(); ++i) epoch.push_back(static_cast<double>(i + 1));
    lines.push_back({"training", epoch, first->training_loss});
    lines.push_back({"validation", epoch, first->validation_loss});
    page.plot(svg_lines(lines, {"epoch", fmt::format("mean squared error (({})²)", facts(p).units), true}),
              fmt::format("{} network without {}{}.", facts(p).label, first->held_out,
                          lines.size() > 2 ? "; grey: validation of the other folds" : ""));
    if (!first->tissue_filters.empty()) {
      const auto maps = static_cast<std::int64_t>(first->tissue_filters.size()) / first->taps;
      page.figure(
          {{"Concentration chain", filter_image(first->tissue_filters, maps, first->taps, 8)},
           {"AIF chain", filter_image(first->aif_filters, maps, first->taps, 8)}},
          {},
          fmt::format("Learned 1×1×{} filters of the first layer, one per row, time from left to right; each row from "
                      "its smallest weight (black) to its largest (white).",
                      first->taps));
    }
  }
  page.begin_fold("All trainings");
  HtmlTable table{"Trainings",
                  {{"Held out", false},
                   {"Parameter", false},
                   {"Recipe", false},
                   {"Epochs"},
                   {"Samples"},
                   {"Epoch of the weights"},
                   {"Root of the best validation error"}},
                  {}};
  for (const auto& t : trainings) {
    const auto best = std::min_element(t.validation_loss.begin(), t.validation_loss.end());
    table.rows.push_back({t.held_out, std::string(facts(t.parameter).label), t.recipe, std::to_string(t.epochs),
                          std::to_string(t.samples), std::to_string(t.epoch_of_weights),
                          best == t.validation_loss.end() ? "–" : shown_number(std::sqrt(*best))});
  }
  page.table(table);
  page.end_fold();
}

}  // namespace perfpipe
