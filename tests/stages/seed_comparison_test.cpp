#include "stages/seed_comparison.hpp"

#include "core/error.hpp"
#include "tests/temp_folder.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

using Json = nlohmann::ordered_json;

Json results(const std::vector<double>& rmse, const std::string& maker = "cnn", const std::string& reference = "bsvd") {
  Json patients = Json::array();
  for (std::size_t i = 0; i < rmse.size(); ++i)
    patients.push_back({{"patient", "sub-0" + std::to_string(i + 1)}, {"rmse", rmse[i]}});
  return {
      {"errors",
       {{{"maker", maker}, {"reference", reference}, {"parameter", "mtt"}, {"units", "s"}, {"patients", patients}}}}};
}

TEST(SeedComparison, SetsTheSpreadOfPatientsAgainstThatOfSeeds) {
  const auto found = compare_seeds(results({1.0, 3.0, 5.0}), results({1.2, 2.8, 5.2}), "runs/b");
  const auto row = found.at("rows").at(0);
  // Variances over patients 4 and 4.0533; differences all 0.2, so that one run's SD is 0.2 / sqrt(2).
  EXPECT_NEAR(row.at("fold_sd").get<double>(), std::sqrt((4.0 + 12.16 / 3.0) / 2.0), 1e-9);
  EXPECT_NEAR(row.at("seed_sd").get<double>(), 0.2 / std::sqrt(2.0), 1e-9);
  EXPECT_EQ(row.at("verdict"), "larger");
  EXPECT_EQ(row.at("patients"), 3);
  EXPECT_EQ(
      found.at("line"),
      "Differences between patients against those between seeds (SD of the RMSE): MTT larger (2.01 and 0.141 s).");
}

TEST(SeedComparison, SaysWhenSeedsMatterMoreOrNoLess) {
  const auto verdict = [](const Json& a, const Json& b) {
    return compare_seeds(a, b, "b").at("rows").at(0).at("verdict");
  };
  EXPECT_EQ(verdict(results({2.0, 2.1}), results({4.0, 4.1})), "smaller");
  EXPECT_EQ(verdict(results({1.0, 2.0}), results({2.0, 1.0})), "alike");
}

TEST(SeedComparison, ComparesPatientsThatBothHave) {
  EXPECT_EQ(compare_seeds(results({1, 2, 3}), results({2, 3}), "b").at("rows").at(0).at("patients"), 2);
}

TEST(SeedComparison, RefusesWhatCannotBeCompared) {
  const auto refusal = [](const Json& a, const Json& b) -> std::string {
    try {
      compare_seeds(a, b, "runs/b");
    } catch (const InputError& error) {
      return error.what();
    }
    return "compared";
  };
  EXPECT_NE(refusal(results({1, 2}), results({1, 2})).find("another seed"), std::string::npos);
  EXPECT_NE(refusal(results({1, 2}), results({1.5})).find("1 patient(s) in common"), std::string::npos);
  EXPECT_NE(refusal(results({1, 2}), results({3, 4}, "other")).find("no errors of the same maps"), std::string::npos);
  EXPECT_NE(refusal(results({1, 2}, "bsvd", "truth"), results({3, 4}, "bsvd", "truth")).find("no errors of the same"),
            std::string::npos);
  EXPECT_NE(refusal(results({1, 2}), {{"errors", {1}}}).find("not one of this program's"), std::string::npos);
}

TEST(SeedComparison, FilesThatAreNoResultsAreRefused) {
  TempFolder folder;
  EXPECT_THROW(read_results(folder.path()), InputError);
  folder.write("tables/results.json", "{\"errors\": ");
  EXPECT_THROW(read_results(folder.path()), InputError);
  folder.write("tables/results.json", "[]");
  EXPECT_THROW(read_results(folder.path()), InputError);
  folder.write("tables/results.json", results({1, 2}).dump());
  EXPECT_EQ(read_results(folder.path()), results({1, 2}));
}

}  // namespace
}  // namespace perfpipe
