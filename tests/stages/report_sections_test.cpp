#include "stages/report_sections.hpp"

#include "tests/stages/html_check.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Json = nlohmann::ordered_json;

Json error_row(const std::string& maker, const std::string& reference, const std::string& parameter, double armse) {
  Json patients = Json::array();
  for (const char* patient : {"sub-01", "sub-02"})
    patients.push_back({{"patient", patient}, {"rmse", armse + 0.5}, {"percent_of_maximum", 0.8}});
  const auto paper = [&](double value) { return reference == "truth" ? Json(nullptr) : Json(value); };
  return {{"maker", maker},
          {"reference", reference},
          {"parameter", parameter},
          {"units", "ml/100g/min"},
          {"armse", armse},
          {"armse_sd", 0.25},
          {"percent_of_maximum", 1.5},
          {"percent_of_maximum_sd", 0.1},
          {"percent_of_reported_maximum", 1.25},
          {"percent_of_percentile99", 20.0},
          {"percent_of_sd", 50.0},
          {"constant_armse", 31.0},
          {"nearest_armse", 17.5},
          {"bias", -0.75},
          {"lower_limit", -5.0},
          {"upper_limit", 3.5},
          {"concordance", 0.9},
          {"correlation", 0.95},
          {"paper_armse", paper(27.4)},
          {"paper_percent_of_maximum", paper(1.71)},
          {"paper_percent_of_reported_maximum", paper(1.72)},
          {"missing", Json::array()},
          {"patients", patients}};
}

Json sample_results() {
  Json dice{{"maker", "cnn"}, {"reference", "bsvd"}, {"mask", "tmax"}, {"dice", 0.7654}, {"dice_sd", 0.05}};
  dice["paper_dice"] = 0.811;
  dice["paper_dice_sd"] = 0.071;
  dice["nearest_dice"] = nullptr;
  dice["patients"] = Json::array(
      {{{"patient", "sub-02"}, {"dice", 1.0}, {"both_empty", true}, {"volume_ml", 0.0}, {"reference_volume_ml", 0.0}}});
  return {{"errors", {error_row("bsvd", "truth", "cbf", 14.0), error_row("cnn", "bsvd", "cbf", 12.3)}},
          {"dice", {dice}},
          {"clinical", Json::array()},
          {"volume_agreement", Json::array()}};
}

TrainingView training(Parameter p, const std::string& held_out, std::int64_t epochs, std::int64_t samples) {
  TrainingView t;
  t.held_out = held_out;
  t.parameter = p;
  t.recipe = "paper";
  t.epochs = epochs;
  t.samples = samples;
  t.epoch_of_weights = 2;
  t.training_loss = {30.0, 20.0};
  t.validation_loss = {25.0, 16.0};
  t.learning_rate = {0.01, 0.001};
  t.gradient_norm = {3.0, 2.0};
  return t;
}

PatientView patient() {
  PatientView v;
  v.name = "sub-<01>";
  v.extent = {6, 5, 2};
  v.brain_mask.assign(60, 1);
  for (const char* label : {"bsvd", "cnn"}) {
    MapSet maker{label, {}};
    for (auto& map : maker.maps) map.assign(60, 3.0f);
    v.makers.push_back(std::move(maker));
  }
  v.makers[1].maps[index(Parameter::cbv)].clear();  // a network that was not trained
  v.truth.maps[index(Parameter::cbf)].assign(60, 2.0f);
  std::vector<std::uint8_t> marked(60, 0);
  marked[40] = 1;
  v.masks[index(Parameter::tmax)] = {{"bsvd", marked}, {"cnn", marked}};
  v.mask_titles[index(Parameter::tmax)] = "Tmax > 4 s";
  v.aif = {"AIF", {0, 1, 2}, {0, 5, 1}, false};
  v.curve_units = "1/s";
  v.aif_voxels = marked;
  v.warnings = {"held < 3 s"};
  return v;
}

constexpr std::array<DisplayRange, 4> ranges{{{0, 100}, {0, 8}, {0, 16}, {0, 12}}};

TEST(ReportOverview, ShowsTheComparisonWithTheTargetsBesideThePaper) {
  HtmlPage page("t", "s");
  page.section("Overview");
  add_overview(page, sample_results());
  const std::string html = page.str();
  EXPECT_NE(html.find("bi-CNN against bSVD"), std::string::npos);
  EXPECT_NE(html.find("<b>12.3</b><span>ml/100g/min; paper 27.4</span>"), std::string::npos) << html;
  EXPECT_NE(html.find("<b>0.765</b><span>± 0.050; paper 0.811 ± 0.071</span>"), std::string::npos);
  EXPECT_EQ(html.find("<b>14.0</b>"), std::string::npos);  // the error against the truth is not mixed in
}

TEST(ReportOverview, SaysWhenThereIsNothingToCompare) {
  HtmlPage page("t", "s");
  page.section("Overview");
  add_overview(page, {{"errors", Json::array()}, {"dice", Json::array()}});
  EXPECT_NE(page.str().find("nothing to compare"), std::string::npos);
}

TEST(ReportErrors, KeepsTargetsAndTruthInTablesOfTheirOwn) {
  HtmlPage page("t", "s");
  page.section("Errors");
  add_error_tables(page, sample_results());
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  const auto targets = html.find("<caption>ARMSE: bi-CNN against bSVD</caption>");
  const auto truth = html.find("<caption>ARMSE: bSVD against the simulated truth</caption>");
  ASSERT_NE(targets, std::string::npos);
  ASSERT_NE(truth, std::string::npos);
  EXPECT_LT(targets, truth);
  // The paper's column stands beside the targets only: it had no truth.
  EXPECT_NE(html.substr(targets, truth - targets).find("<td class=\"n\">27.4</td>"), std::string::npos);
  const auto end = html.find("</table>", truth);
  EXPECT_EQ(html.substr(truth, end - truth).find("27.4"), std::string::npos);
}

TEST(ReportPatientTables, LeaveACellOpenWhereAPatientHasNoMap) {
  HtmlPage page("t", "s");
  page.section("Patients");
  add_patient_tables(page, sample_results());
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  const auto row = [](const std::string& name, const std::string& error, const std::string& percent,
                      const std::string& dice) {
    std::string cells = "<td>" + name + "</td>";
    for (const auto& cell : {error, percent, dice}) cells += "<td class=\"n\">" + cell + "</td>";
    return cells;
  };
  for (const auto& cells : {row("sub-01", "12.8", "0.800", "–"), row("sub-02", "12.8", "0.800", "1.000 (both empty)"),
                            row("Mean", "12.3", "1.50", "0.765"), row("SD", "0.250", "0.100", "0.050"),
                            row("Paper", "27.4", "1.71", "0.811"), row("Constant predictor", "31.0", "", ""),
                            row("Nearest neighbour", "17.5", "", "–")})
    EXPECT_NE(html.find(cells), std::string::npos) << cells << "\nnot in\n" << html;
}

TEST(ReportErrors, SaysWhichTablesLackPatients) {
  auto results = sample_results();
  EXPECT_TRUE(incomplete_notes(results).empty());
  results["errors"][1]["missing"] = {"sub-03"};
  const auto notes = incomplete_notes(results);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0], "The table of bi-CNN against bSVD, CBF, is incomplete: without sub-03.");
}

TEST(ReportErrors, HasTheLineOnSeeds) {
  auto results = sample_results();
  results["seed_comparison"] = {{"line", "patients <larger>"}, {"other", "runs/cv-2"}};
  HtmlPage page("t", "s");
  page.section("Errors");
  add_error_tables(page, results);
  EXPECT_NE(page.str().find("patients &lt;larger&gt;"), std::string::npos);
  EXPECT_NE(page.str().find("runs/cv-2"), std::string::npos);
}

TEST(ReportClinicalTables, HaveARowForEachPatientAndVolume) {
  auto results = sample_results();
  Json patient{{"patient", "sub-01"}};
  for (const char* field :
       {"tmax_over_4_ml", "tmax_over_6_ml", "tmax_over_8_ml", "tmax_over_10_ml", "core_ml", "mismatch_ml"})
    patient[field] = 12.5;
  patient["mismatch_ratio"] = nullptr;
  patient["hypoperfusion_intensity_ratio"] = 0.25;
  results["clinical"] = {{{"maker", "cnn"}, {"patients", {patient}}}};
  results["volume_agreement"] = {{{"maker", "cnn"},
                                  {"reference", "bsvd"},
                                  {"volume", "tmax_over_6_ml"},
                                  {"patients", 3},
                                  {"reference_mean_ml", 20.0},
                                  {"bias_ml", -1.25},
                                  {"lower_limit_ml", -8.0},
                                  {"upper_limit_ml", 5.5},
                                  {"concordance", 0.75}}};
  HtmlPage page("t", "s");
  add_clinical_tables(page, results);
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  for (const char* part : {"research use", "<td>Tmax &gt; 6 s</td>", ">-1.25<", ">12.5<", ">0.250<", ">–<"})
    EXPECT_NE(html.find(part), std::string::npos) << part << "\n" << html;
}

TEST(TrainingNotes, TellFailuresAndNetworksThatAreNoBetterThanAConstant) {
  auto failed = training(Parameter::cbf, "sub-01", 2, 100), constant = training(Parameter::mtt, "sub-02", 2, 100),
       good = training(Parameter::mtt, "sub-03", 2, 100);
  failed.failure = "its loss is not finite";
  constant.constant_loss = 16.0;  // its best validation loss is that
  good.constant_loss = 17.0;
  const auto notes = training_notes({failed, constant, good});
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0], "The training of CBF without sub-01 failed: its loss is not finite");
  EXPECT_NE(notes[1].find("MTT without sub-02 is no better than a constant: its validation error is 4.00 s"),
            std::string::npos)
      << notes[1];
}

TEST(ReportTrainings, ShowFailedOnesInTheTableAlone) {
  auto failed = training(Parameter::cbf, "sub-01", 2, 100);
  failed.failure = "not <finite>";
  HtmlPage page("t", "s");
  page.section("Networks");
  add_trainings(page, {failed});
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  EXPECT_NE(html.find("failed: not &lt;finite&gt;"), std::string::npos);
  EXPECT_EQ(html.find("<svg"), std::string::npos);
}

TEST(ReducedBudgetNotes, NameWhatIsBelowThePaperAndNothingElse) {
  EXPECT_TRUE(reduced_budget_notes({}).empty());
  EXPECT_TRUE(reduced_budget_notes({training(Parameter::tmax, "sub-01", 10, 74850)}).empty());
  const auto notes =
      reduced_budget_notes({training(Parameter::cbf, "sub-01", 10, 97110), training(Parameter::cbf, "sub-02", 2, 4000),
                            training(Parameter::cbf, "sub-03", 3, 4000)});
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0],
            "CBF: 2 of 3 trainings had a smaller budget than the paper's 10 epochs of 97110 samples; the smallest 2 of "
            "4000.");
}

TEST(ReportTrainings, DrawCurvesAndFilters) {
  auto with_filters = training(Parameter::mtt, "sub-01", 2, 100);
  with_filters.taps = 36;
  with_filters.tissue_filters.assign(36 * 4, 0.5f);
  with_filters.aif_filters.assign(36 * 4, 0.5f);
  HtmlPage page("t", "s");
  page.section("Networks");
  add_trainings(page, {with_filters, training(Parameter::mtt, "sub-02", 2, 100)});
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  EXPECT_NE(html.find("Learned 1×1×36 filters"), std::string::npos);
  EXPECT_NE(html.find("<td class=\"n\">4.00</td>"), std::string::npos);  // the root of 16
  EXPECT_NE(html.find("class=\"faint\""), std::string::npos);
  for (const char* title : {"<h4>Loss ((s)²)</h4>", "<h4>Learning rate</h4>", "<h4>Gradient norm</h4>"})
    EXPECT_NE(html.find(title), std::string::npos) << title;
}

TEST(ReportPatient, IsWellFormedAndComplete) {
  HtmlPage page("t", "s");
  page.section("Patients");
  add_patient(page, patient(), ranges, 2, true);
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  EXPECT_EQ(html.find("sub-<01>"), std::string::npos);
  for (const char* words :
       {"<h4>Truth</h4>", "<h4>bi-CNN − bSVD</h4>", "Tmax &gt; 4 s: outlines of bSVD blue, bi-CNN orange",
        "Voxels of the arterial input function, on the CBV map: 1 of 1 in this slice", "held &lt; 3 s"})
    EXPECT_NE(html.find(words), std::string::npos) << words;
}

TEST(ReportPatient, WithoutMapsShowsTheCurveAlone) {
  PatientView v = patient();
  v.makers.clear();
  HtmlPage page("t", "s");
  page.section("Patients");
  add_patient(page, v, ranges, 2, false);
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  EXPECT_NE(html.find("Arterial input function."), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
}

}  // namespace
}  // namespace perfpipe
