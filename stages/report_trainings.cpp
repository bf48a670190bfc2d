// The report's section on networks: how each was trained, and what its first layer learned.
#include "stages/report_sections.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

/// Training samples and epochs of the paper (section V.A and V.B), by parameter.
constexpr std::array<std::int64_t, 4> paper_samples{97110, 91950, 87080, 74850};
constexpr std::int64_t paper_epochs = 10;

using Course = std::vector<double> TrainingView::*;  ///< one value for each epoch

std::vector<double> epochs_of(std::size_t count) {
  std::vector<double> epochs;
  for (std::size_t i = 0; i < count; ++i) epochs.push_back(static_cast<double>(i + 1));
  return epochs;
}

/// Of each epoch the median (the lower one of two) over the folds that came so far.
PlotLine median_line(const std::string& title, const std::vector<const TrainingView*>& folds, Course course) {
  PlotLine line{title, {}, {}};
  for (std::size_t epoch = 0;; ++epoch) {
    std::vector<double> values;
    for (const auto* fold : folds)
      if (epoch < (fold->*course).size()) values.push_back((fold->*course)[epoch]);
    if (values.empty()) break;
    std::sort(values.begin(), values.end());
    line.y.push_back(values[(values.size() - 1) / 2]);
  }
  line.x = epochs_of(line.y.size());
  return line;
}

void add_folds(std::vector<PlotLine>& lines, const std::vector<const TrainingView*>& folds, Course course) {
  for (const auto* fold : folds)
    lines.push_back({fold->held_out, epochs_of((fold->*course).size()), fold->*course, true});
}

/// Training and validation, and what a constant would have.
TitledPlot loss_plot(const std::vector<const TrainingView*>& folds, Parameter p) {
  std::vector<PlotLine> lines;
  if (folds.size() > 1) {
    add_folds(lines, folds, &TrainingView::training_loss);
    add_folds(lines, folds, &TrainingView::validation_loss);
  }
  lines.push_back(median_line("training", folds, &TrainingView::training_loss));
  lines.push_back(median_line("validation", folds, &TrainingView::validation_loss));
  std::vector<double> constants;
  for (const auto* fold : folds)
    if (fold->constant_loss) constants.push_back(*fold->constant_loss);
  std::sort(constants.begin(), constants.end());
  const auto& epochs = lines.back().x;
  if (!constants.empty() && !epochs.empty()) {
    const double constant = constants[(constants.size() - 1) / 2];
    lines.push_back({"constant", {epochs.front(), epochs.back()}, {constant, constant}});
  }
  return {fmt::format("Loss (({})²)", facts(p).units), svg_lines(lines, {"epoch", "mean squared error", true, true})};
}

TitledPlot course_plot(const std::vector<const TrainingView*>& folds, Course course, const std::string& title) {
  std::vector<PlotLine> lines;
  if (folds.size() > 1) add_folds(lines, folds, course);
  lines.push_back(median_line("median", folds, course));
  return {title, svg_lines(lines, {"epoch", title, true, true})};
}

}  // namespace

std::vector<std::string> reduced_budget_notes(const std::vector<TrainingView>& trainings) {
  std::vector<std::string> notes;
  for (Parameter p : all_parameters) {
    std::int64_t reduced = 0, all = 0, epochs = 0, samples = 0;
    for (const auto& t : trainings) {
      if (t.parameter != p || !t.failure.empty()) continue;
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

std::vector<std::string> training_notes(const std::vector<TrainingView>& trainings) {
  std::vector<std::string> notes;
  for (const auto& t : trainings) {
    const std::string which = fmt::format("{} without {}", facts(t.parameter).label, t.held_out);
    if (!t.failure.empty())
      notes.push_back(fmt::format("The training of {} failed: {}", which, t.failure));
    else if (t.collapsed())
      notes.push_back(
          fmt::format("The network of {} is no better than a constant: its validation error is {} {}, that of a "
                      "constant {}.",
                      which, shown_number(std::sqrt(*t.best_validation_loss())), facts(t.parameter).units,
                      shown_number(std::sqrt(*t.constant_loss))));
  }
  return notes;
}

void add_trainings(HtmlPage& page, const std::vector<TrainingView>& trainings) {
  for (Parameter p : all_parameters) {
    std::vector<const TrainingView*> folds;
    for (const auto& t : trainings)
      if (t.parameter == p && t.failure.empty()) folds.push_back(&t);
    if (folds.empty()) continue;
    page.heading(std::string(facts(p).label));
    page.plots({loss_plot(folds, p), course_plot(folds, &TrainingView::learning_rate, "Learning rate"),
                course_plot(folds, &TrainingView::gradient_norm, "Gradient norm")},
               fmt::format("{} networks of {} fold{}: median over the folds; grey: each fold.", facts(p).label,
                           folds.size(), folds.size() == 1 ? "" : "s"));
    const TrainingView& first = *folds.front();
    if (first.tissue_filters.empty()) continue;
    const auto maps = static_cast<std::int64_t>(first.tissue_filters.size()) / first.taps;
    page.figure({{"Concentration chain", filter_image(first.tissue_filters, maps, first.taps, 8)},
                 {"AIF chain", filter_image(first.aif_filters, maps, first.taps, 8)}},
                {},
                fmt::format("Learned 1×1×{} filters of the first layer (network without {}), one per row, time from "
                            "left to right; each row from its smallest weight (black) to its largest (white).",
                            first.taps, first.held_out));
  }
  page.begin_fold("All trainings");
  HtmlTable table{"Trainings",
                  {{"Held out", false},
                   {"Parameter", false},
                   {"Recipe", false},
                   {"Epochs"},
                   {"Samples"},
                   {"Epoch of the weights"},
                   {"Root of the best validation error"},
                   {"Of a constant"},
                   {"Remark", false}},
                  {}};
  const auto root = [](const std::optional<double>& x) { return x ? shown_number(std::sqrt(*x)) : "–"; };
  for (const auto& t : trainings) {
    const std::string label(facts(t.parameter).label);
    if (!t.failure.empty())
      table.rows.push_back({t.held_out, label, "–", "–", "–", "–", "–", "–", "failed: " + t.failure});
    else
      table.rows.push_back({t.held_out, label, t.recipe, std::to_string(t.epochs), std::to_string(t.samples),
                            std::to_string(t.epoch_of_weights), root(t.best_validation_loss()), root(t.constant_loss),
                            t.collapsed() ? "no better than a constant" : ""});
  }
  page.table(table);
  page.end_fold();
}

}  // namespace perfpipe
