// Acceptance: the 14 DSC curves of the OSIPI code collection (tests/data/osipi, Apache-2.0) through the executable,
// with the collection's own tolerances: |estimate - reference| <= atol + rtol * reference.
#include "tests/e2e/job_files.hpp"

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

/// Rows of a CSV file without quotes, by the names of its header line.
std::vector<std::map<std::string, std::string>> read_csv(const fs::path& path) {
  const auto cells = [](const std::string& line) {
    std::vector<std::string> found;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) found.push_back(cell);
    return found;
  };
  std::vector<std::map<std::string, std::string>> rows;
  std::vector<std::string> names;
  for (auto line : lines_of(file_bytes(path))) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const auto found = cells(line);
    if (names.empty()) {
      names = found;
      continue;
    }
    if (found.size() != names.size())
      throw std::runtime_error(path.string() + ": a row of another length: " + line.substr(0, 60));
    rows.emplace_back();
    for (std::size_t i = 0; i < names.size(); ++i) rows.back()[names[i]] = found[i];
  }
  return rows;
}

std::vector<double> numbers(const std::string& text) {
  std::istringstream stream(text);
  std::vector<double> found;
  for (double x = 0.0; stream >> x;) found.push_back(x);
  return found;
}

/// Voxels of a NIfTI-1 volume of float32 that the program wrote uncompressed: after 352 bytes of header.
std::vector<float> voxels_of(const fs::path& path) {
  const std::string bytes = file_bytes(path);
  std::vector<float> values((bytes.size() - std::min<std::size_t>(bytes.size(), 352)) / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data() + 352, values.size() * sizeof(float));
  return values;
}

TEST(Osipi, FourteenOfFourteenCurvesAreWithinTheTolerances) {
  const fs::path data = fs::path(PERFPIPE_SOURCE_DIR) / "tests/data/osipi";
  const auto curves = read_csv(data / "dsc_data.csv"), expected = read_csv(data / "expected_values.csv");
  ASSERT_EQ(curves.size(), 14u);
  ASSERT_EQ(expected.size(), curves.size());
  constexpr double repetition_time = 1.243;
  const auto aif = numbers(curves.front().at("C_aif"));
  ASSERT_EQ(aif.size(), 161u);
  std::vector<std::vector<double>> tissue;
  for (const auto& row : curves) {
    tissue.push_back(numbers(row.at("C_tis")));
    ASSERT_EQ(tissue.back().size(), aif.size()) << row.at("label");
    ASSERT_EQ(numbers(row.at("C_aif")), aif) << row.at("label") << " has another AIF";
    ASSERT_EQ(std::stod(row.at("tr")), repetition_time) << row.at("label");
  }

  TempFolder folder;
  NiftiBuilder image;
  image.dim = {14, 1, 1, 161};
  image.pixdim = {1, 2, 2, 5, repetition_time, 0, 0, 0};
  image.datatype = 64;
  image.value = [&](std::size_t i) { return tissue[i % 14][i / 14]; };
  image.write(folder, "cohort/osipi.nii.gz");
  folder.write("cohort/osipi.json", "{\"RepetitionTime\": 1.243}\n");
  std::ostringstream table;
  table.precision(17);
  table << "time_s\tvalue\n";
  for (std::size_t t = 0; t < aif.size(); ++t)
    table << repetition_time * static_cast<double>(t) << '\t' << aif[t] << '\n';
  folder.write("cohort/osipi_aif.tsv", table.str());
  folder.write(
      "job.yaml",
      "output: out\n"
      "cohort: {path: cohort, kind: concentration}\n"
      "stages:\n"
      "  - import: {mask: none}\n"
      "  - interpolation: {dt: 1.243, samples: 161}\n"
      "  - aif: {method: file}\n"
      "  - bsvd_targets: {threshold: 0.1, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: ssvd, method: ssvd, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: dsvd, method: dsvd, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: osvd, method: osvd, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: tikhonov, method: tikhonov, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: fixed, method: tikhonov, regularisation: fixed, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: standard, method: tikhonov, form: standard, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: gp, method: gp, hematocrit_factor: 1, density: 1}\n"
      "  - bsvd_targets: {as: bayes, method: bayes, delay_low: -2, delay_high: 5, hematocrit_factor: 1, density: 1}\n"
      "  - export: {compress: false}\n");
  ASSERT_TRUE(ended(run_perfpipe(folder, {"job.yaml"}), 0));

  // How many of the 14 volumes and flows each method gets within the tolerances.
  const std::map<std::string, std::array<int, 2>> within{
      {"bsvd", {14, 14}},  {"ssvd", {14, 14}},     {"dsvd", {14, 14}}, {"osvd", {14, 14}}, {"tikhonov", {14, 14}},
      {"fixed", {14, 13}}, {"standard", {14, 14}}, {"gp", {14, 14}},   {"bayes", {14, 14}}};
  for (const auto& [label, counts] : within)
    for (const std::string parameter : {"cbv", "cbf"}) {
      const auto estimates =
          voxels_of(folder / ("out/derivatives/sub-osipi/perf/sub-osipi_desc-" + label + "_" + parameter + ".nii"));
      ASSERT_EQ(estimates.size(), 14u) << label << ' ' << parameter;
      int good = 0;
      std::string missed;
      for (std::size_t i = 0; i < 14; ++i) {
        ASSERT_EQ(expected[i].at("label"), curves[i].at("label"));
        const double reference = std::stod(expected[i].at(parameter + "_ref"));
        const double tolerance =
            std::stod(expected[i].at(parameter + "_atol")) + std::stod(expected[i].at(parameter + "_rtol")) * reference;
        if (std::abs(estimates[i] - reference) <= tolerance)
          ++good;
        else
          missed += " " + curves[i].at("label") + " " + std::to_string(estimates[i]);
      }
      EXPECT_EQ(good, counts[parameter == "cbf"]) << parameter << " by " << label << ", missed:" << missed;
    }
  // Tighter than the tolerances: what a dense block-circulant SVD in NumPy gives for the CBF, to float32 rounding of
  // curves and maps (1e-7 relative, amplified by a condition number of 1 / 0.1).
  const auto flow = voxels_of(folder / "out/derivatives/sub-osipi/perf/sub-osipi_desc-bsvd_cbf.nii");
  for (std::size_t i = 0; i < 14; ++i)
    EXPECT_NEAR(flow[i], std::stod(expected[i].at("numpy_bsvd2N_thr0.10_cbf")), 1e-3) << curves[i].at("label");
}

}  // namespace
}  // namespace perfpipe
