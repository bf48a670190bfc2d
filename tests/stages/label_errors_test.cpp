#include "stages/label_errors.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

const LabelTable table{{"snr", "residue"}, {{1, {"20", "box"}}, {2, {"20", "gamma"}}, {3, {"50", "box"}}}};

/// Voxels of labels 1, 1, 2, 3, none, and one of label 1 outside the mask.
LabelErrors errors_of(Parameter p) {
  LabelErrors errors;
  EXPECT_TRUE(errors.accept(table));
  const std::vector<float> labels{1, 1, 2, 3, 0, 1}, truths{4, 4, 8, 8, 1, 0}, estimates{5, 7, 8, 5, 100, 50};
  const std::vector<std::uint8_t> inside{1, 1, 1, 1, 1, 0};
  errors.add("bsvd", p, table, labels, estimates, truths, inside);
  return errors;
}

nlohmann::ordered_json row_of(const LabelErrors& errors, const std::string& factor, const std::string& level) {
  for (const auto& row : errors.by_factor())
    if (row.at("factor") == factor && row.at("level") == level) return row;
  return {};
}

TEST(LabelErrors, PoolTheVoxelsOfALevelOverTheOtherFactors) {
  const auto errors = errors_of(Parameter::tmax);
  const auto at20 = row_of(errors, "snr", "20"), box = row_of(errors, "residue", "box");
  // SNR 20: differences 1, 3 and 0; box: 1, 3 and -3.
  EXPECT_EQ(at20.at("voxels"), 3);
  EXPECT_NEAR(at20.at("bias").get<double>(), 4.0 / 3.0, 1e-12);
  EXPECT_NEAR(at20.at("rmse").get<double>(), std::sqrt(10.0 / 3.0), 1e-12);
  EXPECT_NEAR(at20.at("truth").get<double>(), 16.0 / 3.0, 1e-12);
  EXPECT_NEAR(box.at("bias").get<double>(), 1.0 / 3.0, 1e-12);
  EXPECT_NEAR(box.at("rmse").get<double>(), std::sqrt(19.0 / 3.0), 1e-12);
}

TEST(LabelErrors, CountTheVoxelsWithTmaxOverSixSeconds) {
  const auto errors = errors_of(Parameter::tmax);
  // SNR 20: one truly late, two found late, one of them rightly.
  EXPECT_NEAR(row_of(errors, "snr", "20").at("dice").get<double>(), 2.0 / 3.0, 1e-12);
  EXPECT_NEAR(row_of(errors, "snr", "50").at("dice").get<double>(), 0.0, 1e-12);
  EXPECT_FALSE(row_of(errors_of(Parameter::mtt), "snr", "20").contains("dice"));
}

TEST(LabelErrors, HaveARowForEachCondition) {
  std::istringstream csv(errors_of(Parameter::tmax).csv());
  std::vector<std::string> lines;
  for (std::string line; std::getline(csv, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "maker,parameter,units,snr,residue,voxels,truth,estimate,bias,rmse,true_over_6,over_6,both");
  EXPECT_EQ(lines[1], "bsvd,tmax,s,20,box,2,4,6,2,2.23607,0,1,0");
  EXPECT_EQ(lines[3], "bsvd,tmax,s,50,box,1,8,5,-3,3,1,0,0");
}

TEST(LabelErrors, PatientsAddToTheConditionsTheyShareWhateverTheirLabels) {
  auto errors = errors_of(Parameter::cbf);
  const LabelTable other{{"snr", "residue"}, {{9, {"50", "box"}}}};
  ASSERT_TRUE(errors.accept(other));
  errors.add("bsvd", Parameter::cbf, other, std::vector<float>{9}, std::vector<float>{10}, std::vector<float>{8},
             std::vector<std::uint8_t>{1});
  EXPECT_EQ(row_of(errors, "snr", "50").at("voxels"), 2);
  EXPECT_NEAR(row_of(errors, "snr", "50").at("bias").get<double>(), -0.5, 1e-12);
  EXPECT_FALSE(errors.accept({{"lobe"}, {{1, {"frontal"}}}})) << "other factors have no common table";
}

}  // namespace
}  // namespace perfpipe
