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
  folder.write("job.yaml",
               "output: out\n"
               "cohort: {path: cohort, kind: concentration}\n"
               "stages:\n"
               "  - import: {mask: none}\n"
               "  - interpolation: {dt: 1.243, samples: 161}\n"
               "  - aif: {method: file}\n"
               "  - bsvd_targets: {threshold: 0.1, hematocrit_factor: 1, density: 1}\n"
               "  - export: {compress: false}\n");
  ASSERT_TRUE(ended(run_perfpipe(folder, {"job.yaml"}), 0));

  for (const std::string parameter : {"cbv", "cbf"}) {
    const auto estimates =
        voxels_of(folder / ("out/derivatives/sub-osipi/perf/sub-osipi_desc-bsvd_" + parameter + ".nii"));
    ASSERT_EQ(estimates.size(), 14u) << parameter;
    for (std::size_t i = 0; i < 14; ++i) {
      ASSERT_EQ(expected[i].at("label"), curves[i].at("label"));
      const double reference = std::stod(expected[i].at(parameter + "_ref"));
      const double tolerance =
          std::stod(expected[i].at(parameter + "_atol")) + std::stod(expected[i].at(parameter + "_rtol")) * reference;
      EXPECT_NEAR(estimates[i], reference, tolerance) << parameter << " of " << curves[i].at("label");
    }
  }
  // Tighter than the tolerances: what a dense block-circulant SVD in NumPy gives for the CBF, to float32 rounding of
  // curves and maps (1e-7 relative, amplified by a condition number of 1 / 0.1).
  const auto flow = voxels_of(folder / "out/derivatives/sub-osipi/perf/sub-osipi_desc-bsvd_cbf.nii");
  for (std::size_t i = 0; i < 14; ++i)
    EXPECT_NEAR(flow[i], std::stod(expected[i].at("numpy_bsvd2N_thr0.10_cbf")), 1e-3) << curves[i].at("label");
}

}  // namespace
}  // namespace perfpipe
