#include "stages/report_sections.hpp"

#include "tests/stages/html_check.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Json = nlohmann::ordered_json;

Json error_row(const std::string& maker, const std::string& reference, const std::string& parameter, double armse) {
  Json patients = Json::array();
  for (const char* patient : {"sub-01", "sub-02"}) patients.push_back({{"patient", patient}, {"rmse", armse + 0.5}});
  return {{"maker", maker},
          {"reference", reference},
          {"parameter", parameter},
          {"units", "ml/100g/min"},
          {"armse", armse},
          {"armse_sd", 0.25},
          {"percent_of_maximum", 1.5},
          {"percent_of_reported_maximum", 1.25},
          {"percent_of_percentile99", 20.0},
          {"percent_of_sd", 50.0},
          {"constant_armse", 31.0},
          {"bias", -0.75},
          {"concordance", 0.9},
          {"correlation", 0.95},
          {"paper_armse", 27.4},
          {"patients", patients}};
}

Json sample_results() {
  Json dice{{"maker", "cnn"}, {"reference", "bsvd"}, {"mask", "tmax"}, {"dice", 0.7654}, {"dice_sd", 0.05}};
  dice["patients"] = Json::array(
      {{{"patient", "sub-02"}, {"dice", 1.0}, {"both_empty", true}, {"volume_ml", 0.0}, {"reference_volume_ml", 0.0}}});
  return {{"errors", {error_row("bsvd", "truth", "cbf", 14.0), error_row("cnn", "bsvd", "cbf", 12.3)}},
          {"dice", {dice}}};
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
  EXPECT_NE(html.find("<td>sub-01</td><td class=\"n\">12.8</td><td class=\"n\">–</td>"), std::string::npos) << html;
  EXPECT_NE(html.find("<td>sub-02</td><td class=\"n\">12.8</td><td class=\"n\">1.000 (both empty)</td>"),
            std::string::npos);
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
  EXPECT_EQ(html.find("class=\"faint\"") == std::string::npos, false);
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
