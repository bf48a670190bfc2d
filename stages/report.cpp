// report: one self-contained page with tables, maps, masks, networks, warnings and the job.
#include "core/parallel.hpp"
#include "core/stage.hpp"
#include "core/version.hpp"
#include "stages/maps.hpp"
#include "stages/report_input.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct ReportOptions {
  std::int64_t slices = 3;
  std::int64_t patients = 0;
};

/// What the evaluation leaves: its results as JSON text.
class Report final : public StageWith<ReportOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "report";
    type.scope = Scope::cohort;
    type.version = 2;
    type.summary =
        "Writes report/index.html: errors, maps beside each other, masks, AIFs, filters, trainings, warnings.";
    type.reference = "figures 3 to 5 of Ho et al., ICPR 2016";
    return type;
  }
  static OptionTable<ReportOptions> table() {
    OptionTable<ReportOptions> t;
    t.integer("slices", &ReportOptions::slices, {1, 12}, "", "slices shown of each map");
    t.integer("patients", &ReportOptions::patients, {0, 100000}, "", "patients with pictures, the first ones; 0: all");
    return t;
  }

  Ports ports() const override {
    Ports ports;
    for (const auto& spec : map_specs()) ports.reads.push_back({spec, "", true, true});
    for (Parameter p : {Parameter::cbf, Parameter::tmax}) ports.reads.push_back({tissue_mask_spec(p), "", false, true});
    for (const auto& spec : {results_spec(), brain_mask_spec(), concentration_spec(), tissue_curves_spec(), aif_spec()})
      ports.reads.push_back({spec, "", false, true});
    for (const auto& port : training_ports()) ports.reads.push_back(port);
    return ports;
  }
  std::vector<std::filesystem::path> files(const TaskInfo&, const Cohort& cohort) const override {
    std::vector<std::filesystem::path> files;
    for (const auto& series : cohort.series) {
      files.push_back(series.image);
      for (const auto& truth : series.truth)
        if (!truth.empty()) files.push_back(truth);
    }
    return files;
  }
  bool accepts_failed_inputs() const override { return true; }
  bool shows_job() const override { return true; }
  double cost(const TaskInfo&) const override { return 2.0; }

  void run(StageContext& context) const override {
    const Cohort& cohort = context.cohort();
    const auto trainings = read_trainings(context, true);
    HtmlPage page(
        "Perfusion estimation",
        fmt::format("{} series of {} subjects, {} layout · perfpipe {} · seed {} · for research use, not for diagnosis",
                    cohort.series.size(), cohort.subjects().size(), cohort.layout, version, context.job().seed),
        context.job().threads);
    add_results(context, page, trainings);
    add_patients(context, page);
    if (!trainings.empty()) {
      page.section("Networks");
      add_trainings(page, trainings);
    }
    add_findings(context, page);
    page.section("Job");
    page.paragraph(
        "Everything that decides the numbers above, defaults included. The same file and the same input give the same "
        "bits.");
    page.details("Resolved job", context.job().resolved.dump(2));
    page.paragraph(fmt::format(
        "Made by perfpipe {}. The tables are in tables/ as CSV and JSON, the maps in derivatives/ as NIfTI.", version));
    const std::string bytes = page.str();
    context.publish("report/index.html", bytes);
    context.output().set_metadata({{"bytes", bytes.size()}, {"warnings", context.warnings()}});
  }

 private:
  static void add_results(StageContext& context, HtmlPage& page, const std::vector<TrainingView>& trainings) {
    page.section("Overview");
    nlohmann::ordered_json results;
    for (const auto& input : context.store().inputs("results")) {
      const auto raw = context.store().open(input).read<std::uint8_t>("results");
      results = nlohmann::ordered_json::parse(raw.begin(), raw.end());
    }
    const bool evaluated = results.contains("errors");
    if (evaluated)
      add_overview(page, results);
    else
      page.note(NoteKind::information,
                "This job has no evaluation, or it failed: add `evaluation` before `report` for tables of errors.");
    if (evaluated)
      for (const auto& note : incomplete_notes(results)) page.note(NoteKind::warning, note);
    for (const auto& note : training_notes(trainings)) page.note(NoteKind::warning, note);
    for (const auto& note : reduced_budget_notes(trainings)) page.note(NoteKind::information, note);
    for (const auto& skipped : context.cohort().skipped)
      page.note(NoteKind::warning, fmt::format("{} was left out: {}", skipped.name, skipped.reason));
    for (const auto& series : unfinished(context)) page.note(NoteKind::warning, series + " has no maps.");
    std::set<std::string> told;
    for (const auto& failed : context.store().failed())
      if (failed.port != "network" && told.insert(failed.task.id()).second)  // trainings have notes of their own
        page.note(NoteKind::warning, fmt::format("{} failed: {}", failed.task.id(), failed.reason));
    if (!evaluated || results.at("errors").empty()) return;
    page.section("Errors");
    add_error_tables(page, results);
    page.section("Errors by patient");
    add_patient_tables(page, results);
    add_clinical_tables(page, results);
    if (results.at("conditions").empty()) return;
    page.section("Errors by condition");
    add_conditions(page, results);
  }

  static std::vector<std::string> unfinished(StageContext& context) {
    std::vector<std::string> names;
    for (const auto& series : context.cohort().series) {
      bool any = false;
      for (Parameter p : all_parameters)
        for (const auto& input : context.store().inputs(std::string(name(p))))
          any = any || input.task.name == series.name;
      if (!any) names.push_back(series.name);
    }
    return names;
  }

  void add_patients(StageContext& context, HtmlPage& page) const {
    page.section("Patients");
    const auto ranges = common_ranges(context);
    std::int64_t shown = 0;
    for (const auto& series : context.cohort().series) {
      if (options_.patients > 0 && shown == options_.patients) break;
      if (context.stop_requested()) throw Stopped();
      if (!open_input(context, "brain_mask", series.name)) continue;
      add_patient(page, read_patient_view(context, series, options_.slices), ranges, options_.slices, shown == 0);
      ++shown;
    }
    const auto all = static_cast<std::int64_t>(context.cohort().series.size());
    if (shown < all) page.paragraph(fmt::format("{} of {} series are shown.", shown, all));
  }

  /// One window for all patients: the median over them of the first maker's 95th percentile, or the usual window.
  static std::array<DisplayRange, 4> common_ranges(StageContext& context) {
    std::array<DisplayRange, 4> ranges{};
    parallel_blocks(all_parameters.size(), 1, context.job().threads, [&](std::size_t i, std::size_t) {
      const Parameter p = all_parameters[i];
      const std::string map(name(p));
      std::vector<double> high;
      for (const auto& series : context.cohort().series) {
        const auto brain = open_input(context, "brain_mask", series.name);
        const auto maker = open_input(context, map, series.name);
        if (!brain || !maker || !maker->has(map)) continue;
        const auto mask = brain->read<std::uint8_t>("brain_mask");
        const auto values = maker->read<float>(map);
        std::vector<float> inside;
        for (std::size_t v = 0; v < mask.size(); ++v)
          if (mask[v] != 0) inside.push_back(values[v]);
        if (inside.empty()) continue;
        const auto at = inside.begin() + static_cast<std::ptrdiff_t>(0.95 * static_cast<double>(inside.size() - 1));
        std::nth_element(inside.begin(), at, inside.end());
        high.push_back(*at);
      }
      std::sort(high.begin(), high.end());
      ranges[index(p)] = display_range(p, high.empty() ? std::nan("") : high[high.size() / 2]);
    });
    return ranges;
  }

  static void add_findings(StageContext& context, HtmlPage& page) {
    std::vector<std::string> lines = context.cohort().warnings;
    for (const auto& series : context.cohort().series)
      for (const auto& warning : series.warnings) lines.push_back(series.name + ": " + warning);
    for (const char* port : {"concentration", "tissue_curves", "aif", "cbf"})
      for (const auto& input : context.store().inputs(port))
        for (const auto& warning : context.store().open(input).metadata().value("warnings", nlohmann::json::array())) {
          const std::string line = input.task.name + ": " + warning.get<std::string>();
          if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
        }
    page.section("Warnings");
    if (lines.empty())
      page.paragraph("None.");
    else
      page.list(lines);
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(report, Report)

}  // namespace perfpipe
