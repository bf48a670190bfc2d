// Errors by condition: a phantom of conditions, deconvolved by several methods, in tables and report.
#include "tests/e2e/job_files.hpp"

#include <algorithm>

namespace perfpipe {
namespace {

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> found(1);
  for (const char c : line)
    if (c == ',')
      found.emplace_back();
    else
      found.back() += c;
  return found;
}

TEST(Conditions, HaveTheirErrorsInTablesAndReport) {
  TempFolder folder;
  folder.write("phantom.yaml",
               "output: cohort\n"
               "stages: [phantom: {kind: study, tile: 2, patients: 1, out_of_steady_state: false}]\n");
  folder.write("job.yaml",
               "output: out\n"
               "cohort: cohort\n"
               "stages:\n"
               "  - import\n"
               "  - interpolation\n"
               "  - aif: {method: file}\n"
               "  - bsvd_targets: {as: bsvd}\n"
               "  - bsvd_targets: {as: gamma, method: gamma_variate}\n"
               "  - evaluation\n"
               "  - report\n");
  ASSERT_TRUE(ended(run_perfpipe(folder, {"phantom.yaml"}), 0));
  ASSERT_TRUE(ended(run_perfpipe(folder, {"job.yaml"}), 0));

  const auto lines = lines_of(file_bytes(folder / "out/tables/conditions.csv"));
  EXPECT_EQ(lines.size(), 1u + 2 * 4 * 540) << "makers, parameters, conditions";
  EXPECT_EQ(cells(lines[0])[3], "snr");
  double found = 0.0, truth = 0.0, volume = 0.0;
  for (const auto& line : lines) {
    const auto row = cells(line);
    if (row[0] != "bsvd" || row[3] != "100" || row[4] != "exponential" || row[5] != "grey" || row[7] != "0") continue;
    if (row[1] == "cbf") found += std::stod(row[10]), truth += std::stod(row[9]);
    if (row[1] == "cbv") volume += std::stod(row[10]) / std::stod(row[9]) / 5.0;
  }
  // METHODS' table has 0.64 of the flow at an MTT of 4 s without noise; noise of SNR 100 raises the maximum.
  EXPECT_GT(found / truth, 0.55);
  EXPECT_LT(found / truth, 0.85);
  EXPECT_NEAR(volume, 1.0, 0.15) << "the volume has no such bias";

  const auto report = file_bytes(folder / "out/report/index.html");
  EXPECT_NE(report.find("Errors by condition"), std::string::npos);
  EXPECT_NE(report.find("CBF by residue: bias / RMSE in ml/100g/min"), std::string::npos);
  EXPECT_NE(report.find("RMSE of Tmax, s"), std::string::npos);
}

TEST(Conditions, ALabelMapWithoutItsTableIsRefused) {
  TempFolder folder;
  folder.write("phantom.yaml", "output: cohort\nstages: [phantom: {patients: 1, size: [32, 32, 2]}]\n");
  folder.write("job.yaml", maps_job);
  ASSERT_TRUE(ended(run_perfpipe(folder, {"phantom.yaml"}), 0));
  std::filesystem::remove(folder / "cohort/sub-01/perf/sub-01_desc-truth_dseg.tsv");
  EXPECT_TRUE(ended(run_perfpipe(folder, {"job.yaml"}), 3, {"sub-01_desc-truth_dseg.nii.gz", "dseg.tsv"}));
}

}  // namespace
}  // namespace perfpipe
