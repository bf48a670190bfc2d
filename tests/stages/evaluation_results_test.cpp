#include "stages/evaluation_results.hpp"

#include "stages/evaluation_tables.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using nlohmann::ordered_json;

PatientErrors patient(const std::string& name, const std::string& subject,
                      const std::vector<std::pair<double, double>>& voxels, double percentile99) {
  PatientErrors errors{name, subject, {}, percentile99, 0.0};
  for (const auto& [estimate, reference] : voxels) errors.agreement.add(estimate, reference);
  return errors;
}

/// Two patients of two subjects: RMSE 3 over two voxels and 5 over one; reference means 20 and 40.
EvaluationResults hand_made(Parameter parameter = Parameter::tmax) {
  EvaluationResults results;
  results.errors.push_back({"cnn",
                            "bsvd",
                            parameter,
                            {patient("sub-01", "sub-01", {{13.0, 10.0}, {27.0, 30.0}}, 30.0),
                             patient("sub-02", "sub-02", {{45.0, 40.0}}, 40.0)}});
  OverlapTable overlaps{"cnn", "bsvd", parameter, {}};
  PatientOverlap first{"sub-01", {}, 0.04}, second{"sub-02", {}, 0.08};
  for (int i = 0; i < 10; ++i) first.overlap.add(i < 6, i >= 2 && i < 8);  // 6 and 6, 4 in common
  second.overlap.add(false, false);
  overlaps.patients = {first, second};
  results.overlaps.push_back(overlaps);
  evaluate_constants(results);
  return results;
}

TEST(EvaluationResults, ArmseIsTheMeanOfThePatientsAndNotPooled) {
  const auto row = to_json(hand_made()).at("errors").at(0);
  EXPECT_DOUBLE_EQ(row.at("armse"), 4.0);  // pooled it would be sqrt(43/3) = 3.79
  EXPECT_DOUBLE_EQ(row.at("armse_sd"), std::sqrt(2.0));
  EXPECT_EQ(row.at("units"), "s");
  EXPECT_EQ(row.at("patients").size(), 2u);
  EXPECT_DOUBLE_EQ(row.at("patients").at(1).at("rmse"), 5.0);
  EXPECT_EQ(row.at("patients").at(0).at("voxels"), 2);
  EXPECT_DOUBLE_EQ(row.at("bias"), 2.5);
}

TEST(EvaluationResults, PercentagesNameTheirDenominators) {
  const auto tmax = to_json(hand_made(Parameter::tmax)).at("errors").at(0);
  EXPECT_DOUBLE_EQ(tmax.at("percent_of_maximum"), 100.0 * 4.0 / 11.0);
  EXPECT_DOUBLE_EQ(tmax.at("percent_of_reported_maximum"), 100.0 * 4.0 / 69.0)
      << "both denominators are shown for Tmax";
  EXPECT_DOUBLE_EQ(tmax.at("percent_of_percentile99"), 100.0 * 4.0 / 35.0);
  EXPECT_DOUBLE_EQ(tmax.at("percent_of_sd"), 100.0 * 4.0 / 5.0);  // SDs of the references 10 and 0
  EXPECT_DOUBLE_EQ(tmax.at("paper_armse"), 1.33);
  const auto cbf = to_json(hand_made(Parameter::cbf)).at("errors").at(0);
  EXPECT_DOUBLE_EQ(cbf.at("percent_of_maximum"), 0.25);
  EXPECT_DOUBLE_EQ(cbf.at("percent_of_reported_maximum"), 0.25);
}

TEST(EvaluationResults, ThePapersOwnPercentagesFollowFromItsErrors) {
  // Section V.C of the paper: 2.39 %, 1.71 %, 4.72 % of the maximum; for Tmax 1.33 s is 12.1 % of 11 s and 1.93 % of 69
  // s.
  const auto percent = [](Parameter p) { return 100.0 * facts(p).paper_armse / facts(p).paper_maximum; };
  EXPECT_NEAR(percent(Parameter::cbv), 2.39, 0.005);
  EXPECT_NEAR(percent(Parameter::cbf), 1.71, 0.005);
  EXPECT_NEAR(percent(Parameter::mtt), 4.72, 0.005);
  EXPECT_NEAR(percent(Parameter::tmax), 12.1, 0.05);
  EXPECT_NEAR(100.0 * facts(Parameter::tmax).paper_armse / facts(Parameter::tmax).reported_maximum, 1.93, 0.005);
}

TEST(EvaluationResults, TheConstantIsTheMeanOfTheOtherSubjects) {
  const auto results = hand_made();
  // sub-01 by 40: sqrt((30² + 10²) / 2); sub-02 by 20: 20.
  EXPECT_NEAR(results.errors[0].patients[0].constant_rmse, std::sqrt(500.0), 1e-12);
  EXPECT_NEAR(results.errors[0].patients[1].constant_rmse, 20.0, 1e-12);
}

TEST(EvaluationResults, ASubjectsOwnSessionsDoNotPredictIt) {
  EvaluationResults results;
  results.errors.push_back(
      {"cnn",
       "bsvd",
       Parameter::cbf,
       {patient("sub-01_ses-1", "sub-01", {{0.0, 10.0}}, 10.0), patient("sub-01_ses-2", "sub-01", {{0.0, 90.0}}, 90.0),
        patient("sub-02", "sub-02", {{0.0, 30.0}}, 30.0)}});
  evaluate_constants(results);
  EXPECT_DOUBLE_EQ(results.errors[0].patients[0].constant_rmse, 20.0) << "|10 - 30|, not |10 - 60|";
  EXPECT_DOUBLE_EQ(results.errors[0].patients[2].constant_rmse, 20.0);
  results.errors[0].patients.resize(2);
  evaluate_constants(results);
  EXPECT_DOUBLE_EQ(results.errors[0].patients[0].constant_rmse, 0.0) << "nobody else: its own mean";
}

TEST(EvaluationResults, DiceIsPerPatientWithVolumes) {
  const auto row = to_json(hand_made()).at("dice").at(0);
  EXPECT_EQ(row.at("mask"), "tmax");
  EXPECT_DOUBLE_EQ(row.at("patients").at(0).at("dice"), 8.0 / 12.0);
  EXPECT_FALSE(row.at("patients").at(0).at("both_empty").get<bool>());
  EXPECT_DOUBLE_EQ(row.at("patients").at(0).at("volume_ml"), 6 * 0.04);
  EXPECT_DOUBLE_EQ(row.at("patients").at(0).at("reference_volume_ml"), 6 * 0.04);
  EXPECT_TRUE(row.at("patients").at(1).at("both_empty").get<bool>());
  EXPECT_DOUBLE_EQ(row.at("dice"), (8.0 / 12.0 + 1.0) / 2.0);
  EXPECT_NEAR(row.at("dice_sd").get<double>(), (1.0 - 8.0 / 12.0) / std::sqrt(2.0), 1e-12);
}

TEST(EvaluationResults, LimitsOfAgreementAreBlandAndAltmans) {
  const auto row = to_json(hand_made()).at("errors").at(0).at("patients").at(0);
  const double sd = std::sqrt(18.0);  // of the differences 3 and -3
  EXPECT_NEAR(row.at("lower_limit").get<double>(), -1.96 * sd, 1e-9);
  EXPECT_NEAR(row.at("upper_limit").get<double>(), 1.96 * sd, 1e-9);
}

TEST(EvaluationResults, StandBesideThePaperWhereItHasThem) {
  auto results = hand_made(Parameter::tmax);
  auto row = to_json(results).at("errors").at(0);
  EXPECT_DOUBLE_EQ(row.at("paper_percent_of_maximum"), 100.0 * 1.33 / 11.0);
  EXPECT_DOUBLE_EQ(row.at("paper_percent_of_reported_maximum"), 100.0 * 1.33 / 69.0);
  EXPECT_DOUBLE_EQ(to_json(results).at("dice").at(0).at("paper_dice"), 0.811);
  results.errors[0].reference = results.overlaps[0].reference = "truth";
  EXPECT_TRUE(to_json(results).at("errors").at(0).at("paper_armse").is_null());
  EXPECT_TRUE(to_json(results).at("dice").at(0).at("paper_dice").is_null());
}

TEST(EvaluationResults, EachPatientHasItsOwnPercentages) {
  const auto patient = to_json(hand_made(Parameter::tmax)).at("errors").at(0).at("patients").at(0);
  EXPECT_DOUBLE_EQ(patient.at("percent_of_maximum"), 100.0 * 3.0 / 11.0);
  EXPECT_DOUBLE_EQ(patient.at("percent_of_reported_maximum"), 100.0 * 3.0 / 69.0);
  EXPECT_DOUBLE_EQ(patient.at("percent_of_percentile99"), 10.0);
  EXPECT_DOUBLE_EQ(patient.at("percent_of_sd"), 30.0);
  EXPECT_TRUE(to_json(hand_made()).at("errors").at(0).at("patients").at(1).at("percent_of_sd").is_null())
      << "one voxel has no SD";
}

TEST(EvaluationResults, TheNearestNeighbourStandsThereIfAllPatientsHaveIt) {
  auto results = hand_made();
  EXPECT_TRUE(to_json(results).at("errors").at(0).at("nearest_armse").is_null());
  auto& patients = results.errors[0].patients;
  patients[0].nearest.emplace().add(14.0, 10.0);
  EXPECT_TRUE(to_json(results).at("errors").at(0).at("nearest_armse").is_null()) << "one of two";
  EXPECT_DOUBLE_EQ(to_json(results).at("errors").at(0).at("patients").at(0).at("nearest_rmse"), 4.0);
  patients[1].nearest.emplace().add(32.0, 40.0);
  EXPECT_DOUBLE_EQ(to_json(results).at("errors").at(0).at("nearest_armse"), 6.0);
}

TEST(EvaluationResults, PatientsOfTheCohortThatAreMissingAreNamed) {
  auto results = hand_made();
  results.cohort = {"sub-01", "sub-02", "sub-03"};
  const auto json = to_json(results);
  EXPECT_EQ(json.at("errors").at(0).at("missing"), ordered_json({"sub-03"}));
  EXPECT_EQ(json.at("dice").at(0).at("missing"), ordered_json({"sub-03"}));
  EXPECT_NE(summary_text(json).find("INCOMPLETE: without sub-03"), std::string::npos);
}

TEST(EvaluationResults, TrainingsSayHowTheyWentAndWhichFailed) {
  EvaluationResults results;
  TrainingView good, failed;
  good.held_out = "sub-01";
  good.validation_loss = {25.0, 16.0, 20.0};
  good.constant_loss = 64.0;
  good.seed = 3;
  failed.held_out = "sub-02";
  failed.failure = "loss is \"nan\", at step 3";
  results.trainings = {good, failed};
  results.failures.push_back({TaskInfo{}, "network", failed.failure});
  const auto json = to_json(results);
  EXPECT_DOUBLE_EQ(json.at("trainings").at(0).at("validation_rmse"), 4.0);
  EXPECT_DOUBLE_EQ(json.at("trainings").at(0).at("constant_validation_rmse"), 8.0);
  EXPECT_EQ(json.at("trainings").at(0).at("collapsed"), false);
  EXPECT_TRUE(json.at("trainings").at(1).at("validation_rmse").is_null());
  EXPECT_EQ(json.at("failures").at(0).at("reason"), failed.failure);
  EXPECT_NE(trainings_csv(json).find(",\"loss is \"\"nan\"\", at step 3\"\n"), std::string::npos)
      << trainings_csv(json);
}

TEST(TrainingViews, CollapsedAreThoseThatAConstantEquals) {
  TrainingView t;
  EXPECT_FALSE(t.collapsed()) << "nothing known";
  t.validation_loss = {std::nan(""), 12.0, 9.6};
  EXPECT_FALSE(t.collapsed()) << "no constant known";
  t.constant_loss = 10.0;
  EXPECT_TRUE(t.collapsed()) << "4 % of the variance explained";
  t.validation_loss.push_back(9.4);
  EXPECT_FALSE(t.collapsed());
}

TEST(ClinicalTables, VolumesAgreeAsBlandAndAltmanSay) {
  EvaluationResults results;
  results.reference = "bsvd";
  for (const auto& [maker, voxels] : {std::pair{"bsvd", 10}, std::pair{"cnn", 16}}) {
    ClinicalTable table{maker, {}};
    for (int patient = 1; patient <= 2; ++patient) {
      ClinicalVolumes volumes(0.5);
      volumes.see_normal(50.0, 1.0);
      for (int i = 0; i < voxels * patient; ++i) volumes.add(10.0, 7.0);
      table.patients.push_back({"sub-0" + std::to_string(patient), volumes});
    }
    results.clinical.push_back(table);
  }
  const auto json = to_json(results);
  ASSERT_EQ(json.at("volume_agreement").size(), 6u) << "cnn against bsvd alone";
  const auto row = json.at("volume_agreement").at(1);
  EXPECT_EQ(row.at("volume"), "tmax_over_6_ml");
  EXPECT_DOUBLE_EQ(row.at("bias_ml"), 4.5);  // 8 and 16 ml against 5 and 10
  EXPECT_NEAR(row.at("upper_limit_ml").get<double>(), 4.5 + 1.96 * std::sqrt(4.5), 1e-9);
  EXPECT_NE(clinical_csv(json).find("cnn,sub-02,16,16,0,0,16,0,1,0,"), std::string::npos) << clinical_csv(json);
}

std::vector<std::vector<std::string>> cells(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) rows.back().push_back(field);
    if (line.ends_with(',')) rows.back().emplace_back();
  }
  return rows;
}

TEST(EvaluationTables, HoldTheNumbersUnderTheirHeadings) {
  const auto json = to_json(hand_made());
  const auto errors = cells(errors_csv(json)), patients = cells(patients_csv(json)), dice = cells(dice_csv(json));
  ASSERT_EQ(errors.size(), 2u);
  ASSERT_EQ(patients.size(), 3u);
  ASSERT_EQ(dice.size(), 3u);
  const auto at = [](const auto& table, std::size_t row, const std::string& column) -> std::string {
    for (std::size_t i = 0; i < table[0].size(); ++i)
      if (table[0][i] == column) return table[row].at(i);
    return "no such column";
  };
  EXPECT_EQ(at(errors, 1, "maker"), "cnn");
  EXPECT_EQ(at(errors, 1, "armse"), "4");
  EXPECT_EQ(at(errors, 1, "percent_of_maximum"), "36.3636364");
  EXPECT_EQ(at(errors, 1, "constant_armse"), "21.1803399");
  EXPECT_EQ(at(patients, 2, "patient"), "sub-02");
  EXPECT_EQ(at(patients, 2, "voxels"), "1");
  EXPECT_EQ(at(patients, 2, "rmse"), "5");
  EXPECT_EQ(at(dice, 1, "dice"), "0.666666667");
  EXPECT_EQ(at(dice, 2, "both_empty"), "true");
  for (const auto* table : {&errors, &patients, &dice})
    for (const auto& row : *table) EXPECT_EQ(row.size(), table->front().size());
}

TEST(EvaluationTables, TheSummaryHasALineForEachRow) {
  const auto text = summary_text(to_json(hand_made()));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_NE(text.find("4.000"), std::string::npos) << text;
  EXPECT_NE(text.find("Dice 0.833 ± 0.236"), std::string::npos) << text;
}

TEST(EvaluationTables, OfNothingAreTheirHeadings) {
  const auto json = to_json(EvaluationResults{});
  EXPECT_EQ(cells(errors_csv(json)).size(), 1u);
  EXPECT_EQ(cells(patients_csv(json)).size(), 1u);
  EXPECT_EQ(cells(dice_csv(json)).size(), 1u);
  EXPECT_EQ(cells(dice_means_csv(json)).size(), 1u);
  EXPECT_EQ(cells(clinical_csv(json)).size(), 1u);
  EXPECT_EQ(cells(trainings_csv(json)).size(), 1u);
}

}  // namespace
}  // namespace perfpipe
