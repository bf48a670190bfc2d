// CT from end to end: a simulated cohort, laid out as ISLES'24 with the maps of other software beside it, from which
// the networks learn.
#include "tests/e2e/job_files.hpp"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>
#include <zlib.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

constexpr char phantom_job[] =
    "output: simulated\n"
    "stages:\n"
    "  - phantom: {modality: ct, patients: 3, size: [48, 48, 4], write_mask: true, write_aif: true}\n";

/// Everything of a cross-validation on other software's maps, beside a deconvolution.
constexpr char ct_job[] =
    "output: out\n"
    "cohort: cohort\n"
    "stages:\n"
    "  - import: {mask: compute}\n"
    "  - interpolation\n"
    "  - aif: {vof: auto}\n"
    "  - bsvd_targets: {as: vendor, method: file, mtt_units: ms}\n"
    "  - binning: {samples: 300}\n"
    "  - training: {epochs: 1}\n"
    "  - inference\n"
    "  - bsvd_targets: {as: bsvd}\n"
    "  - masking\n"
    "  - evaluation\n"
    "  - export\n"
    "  - report\n";

/// Values of a .nii.gz as the program writes them: little-endian float32 or uint8 behind a header of 352 bytes.
template <class T>
std::vector<T> image_values(const fs::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  std::string bytes;
  char buffer[1 << 16];
  for (int n = 0; file != nullptr && (n = gzread(file, buffer, sizeof buffer)) > 0;)
    bytes.append(buffer, static_cast<std::size_t>(n));
  if (file != nullptr) gzclose(file);
  std::vector<T> values(bytes.size() < 352 ? 0 : (bytes.size() - 352) / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data() + 352, values.size() * sizeof(T));
  return values;
}

class Ct : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TempFolder();
    folder->write("phantom.yaml", phantom_job);
    folder->write("job.yaml", ct_job);
    ASSERT_TRUE(ended(run_perfpipe(*folder, {"phantom.yaml"}, 60.0), 0));
    for (int p = 1; p <= 3; ++p) lay_out(p);
    result = new CommandResult(run_perfpipe(*folder, {"job.yaml"}, 120.0));
  }
  static void TearDownTestSuite() {
    delete folder;
    delete result;
  }

  static std::string session(int p) { return "sub-stroke000" + std::to_string(p) + "_ses-01"; }
  static fs::path simulated(int p, const std::string& what) {
    const std::string name = "sub-0" + std::to_string(p);
    return *folder / ("simulated/" + name + "/perf/" + name + what);
  }
  static std::string session_folder(int p) { return "cohort/raw_data/" + session(p).substr(0, 14) + "/ses-01/"; }
  static fs::path map(int p, const std::string& what) {
    return *folder / ("out/derivatives/" + session(p).substr(0, 14) + "/ses-01/perf/" + session(p) + what);
  }
  static double drawn_peak(int p) {
    return nlohmann::json::parse(file_bytes(simulated(p, "_ctp.json"))).at("Simulation").at("ArterialPeak");
  }
  /// The truth as another program might give it: flow per 100 ml, transit times in ms.
  static void lay_out(int p) {
    const fs::path to = *folder / session_folder(p);
    fs::create_directories(to / "perfusion-maps");
    fs::copy_file(simulated(p, "_ctp.nii.gz"), to / (session(p) + "_ctp.nii.gz"));
    fs::copy_file(simulated(p, "_ctp.json"), to / (session(p) + "_ctp.json"));
    for (const char* parameter : {"cbf", "cbv", "mtt", "tmax"})
      fs::copy_file(simulated(p, std::string("_desc-truth_") + parameter + ".nii.gz"),
                    to / "perfusion-maps" / (session(p) + "_" + parameter + ".nii.gz"));
    folder->write(session_folder(p) + "perfusion-maps/" + session(p) + "_cbf.json", "{\"Units\": \"mL/min/100 mL\"}\n");
  }

  static TempFolder* folder;
  static CommandResult* result;
};
TempFolder* Ct::folder = nullptr;
CommandResult* Ct::result = nullptr;

TEST_F(Ct, RunsFromHounsfieldUnitsToTables) {
  ASSERT_TRUE(ended(*result, 0));
  const auto timing = nlohmann::json::parse(file_bytes(simulated(1, "_ctp.json"))).at("VolumeTiming");
  const double first = timing.at(1).get<double>() - timing.at(0).get<double>();
  const std::size_t last = timing.size() - 1;
  EXPECT_GT(timing.at(last).get<double>() - timing.at(last - 1).get<double>(), 1.5 * first) << "uneven on purpose";
  const auto table = lines_of(file_bytes(*folder / "out/tables/armse.csv"));
  for (const char* row : {"cnn,vendor,cbf", "cnn,vendor,tmax", "bsvd,vendor,mtt"})
    EXPECT_TRUE(std::any_of(table.begin(), table.end(), [&](const auto& line) { return line.starts_with(row); }))
        << row;
}

TEST_F(Ct, TheMaskIsTheBrainWithoutSkullScalpAndTable) {
  ASSERT_TRUE(ended(*result, 0));
  for (int p = 1; p <= 3; ++p) {
    const auto truth = image_values<std::uint8_t>(simulated(p, "_desc-brain_mask.nii.gz"));
    const auto flow = image_values<float>(map(p, "_desc-bsvd_cbf.nii.gz"));
    ASSERT_EQ(flow.size(), truth.size());
    // A voxel that is deconvolved has some CBF: noise has a positive maximum.
    double both = 0.0, either = 0.0, outside = 0.0;
    for (std::size_t v = 0; v < truth.size(); ++v) {
      both += 2.0 * (truth[v] != 0 && flow[v] > 0.0f);
      either += (truth[v] != 0) + (flow[v] > 0.0f);
      outside += truth[v] == 0 && flow[v] > 0.0f;
    }
    EXPECT_GT(both / either, 0.95) << p;  // at 4.7 mm a voxel the surface is a tenth of the brain
    EXPECT_LT(outside, 0.05 * either) << p;
  }
}

TEST_F(Ct, TheArterialInputIsInHuAndScaledByTheVein) {
  ASSERT_TRUE(ended(*result, 0));
  for (int p = 1; p <= 3; ++p) {
    const auto aif = nlohmann::json::parse(file_bytes(map(p, "_aif.json")));
    EXPECT_EQ(aif.at("Units"), "HU");
    EXPECT_GE(aif.at("VenousScale").get<double>(), 1.0);
    EXPECT_LT(aif.at("VenousScale").get<double>(), 1.3) << "arteries of 10 mm are hardly diluted";
    // Sampling at 1 to 2 s takes some of a peak; noise and the venous scale may add to it.
    const double peak = drawn_peak(p);
    EXPECT_GT(aif.at("Peak").get<double>(), 0.8 * peak) << p;
    EXPECT_LT(aif.at("Peak").get<double>(), 1.3 * peak) << p;
  }
}

TEST_F(Ct, OtherSoftwaresMapsAreTheTargetsInOurUnits) {
  ASSERT_TRUE(ended(*result, 0));
  const auto given = image_values<float>(simulated(1, "_desc-truth_cbf.nii.gz"));
  const auto target = image_values<float>(map(1, "_desc-vendor_cbf.nii.gz"));
  const auto transit = image_values<float>(map(1, "_desc-vendor_mtt.nii.gz"));
  const auto given_transit = image_values<float>(simulated(1, "_desc-truth_mtt.nii.gz"));
  std::size_t inside = 0;
  for (std::size_t v = 0; v < given.size(); ++v) {
    if (target[v] == 0.0f) continue;
    ++inside;
    ASSERT_NEAR(target[v], given[v] / 1.04, 1e-4) << "per 100 ml by the sidecar, per 100 g by density";
    ASSERT_NEAR(transit[v], 1e-3 * given_transit[v], 1e-6) << "ms by the job file";
  }
  EXPECT_GT(inside, 1000u);
}

TEST_F(Ct, OneMapThatIsMissingFollowsFromTwoOthers) {
  ASSERT_TRUE(ended(*result, 0));
  EXPECT_NE(result->err.find("the CBV map has no units"), std::string::npos) << "assumed, and said so";
  EXPECT_EQ(result->err.find("the CBF map has no units"), std::string::npos) << "its sidecar has them";
  const std::string maps = session_folder(1) + "perfusion-maps/" + session(1);
  const auto job = [](const char* methods) {
    return std::string(
               "output: derived\ncohort: {path: cohort, patients: [sub-stroke0001]}\n"
               "stages: [import, interpolation, aif, bsvd_targets: {as: vendor, method: file, ") +
           methods + "}, export]\n";
  };
  folder->write("derived.yaml", job("mtt_units: ms"));
  fs::rename(*folder / (maps + "_cbv.nii.gz"), *folder / "cbv.nii.gz");
  const auto derived = run_perfpipe(*folder, {"derived.yaml"});
  fs::rename(*folder / (maps + "_mtt.nii.gz"), *folder / "mtt.nii.gz");
  const auto two_missing = run_perfpipe(*folder, {"derived.yaml"});
  fs::rename(*folder / "cbv.nii.gz", *folder / (maps + "_cbv.nii.gz"));
  fs::rename(*folder / "mtt.nii.gz", *folder / (maps + "_mtt.nii.gz"));
  ASSERT_TRUE(ended(derived, 0, {"there is no CBV map: it is computed from the other two"}));
  EXPECT_TRUE(ended(two_missing, 3, {"there is no MTT map", "desc-target_mtt", "follows from the other two"}));
  const fs::path made = *folder / ("derived/derivatives/sub-stroke0001/ses-01/perf/" + session(1) + "_desc-vendor_");
  const auto cbf = image_values<float>(made.string() + "cbf.nii.gz"),
             mtt = image_values<float>(made.string() + "mtt.nii.gz");
  const auto cbv = image_values<float>(made.string() + "cbv.nii.gz");
  std::size_t inside = 0;
  for (std::size_t v = 0; v < cbv.size(); ++v) {
    inside += cbv[v] > 0.0f;
    ASSERT_NEAR(cbv[v], cbf[v] * mtt[v] / 60.0f, 1e-4f * (1.0f + cbv[v]));
  }
  EXPECT_GT(inside, 1000u);
}

TEST_F(Ct, AVenousTableScalesTheAifAndMustCoverTheSeries) {
  folder->write("vof.yaml",
                "output: with_vof\n"
                "cohort: {path: simulated, patients: [sub-01]}\n"
                "stages: [import, interpolation, aif: {vof: file, vof_file: \"vof/{}.tsv\"}, bsvd_targets]\n");
  // A vein of twice the true AIF.
  auto lines = lines_of(file_bytes(simulated(1, "_aif.tsv")));
  std::string table = lines[0] + "\n", cut = table;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto tab = lines[i].find('\t');
    const std::string row =
        lines[i].substr(0, tab) + "\t" + std::to_string(2.0 * std::stod(lines[i].substr(tab + 1))) + "\n";
    table += row;
    if (i < lines.size() / 2) cut += row;
  }
  folder->write("vof/sub-01.tsv", cut);
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"vof.yaml"}), 3, {"vof/sub-01.tsv", "it must cover the series"}));
  folder->write("vof/sub-01.tsv", table);
  ASSERT_TRUE(ended(run_perfpipe(*folder, {"vof.yaml"}), 0));
  const auto aif = nlohmann::json::parse(file_bytes(*folder / "with_vof/derivatives/sub-01/perf/sub-01_aif.json"));
  EXPECT_NEAR(aif.at("VenousScale").get<double>(), 2.0, 0.3) << "of an AIF that was found to some percent";
  EXPECT_NEAR(aif.at("Peak").get<double>(), 2.0 * drawn_peak(1), 0.6 * drawn_peak(1));
}

TEST_F(Ct, UnitsThatNobodyKnowsAreRefusedBeforeAnyWork) {
  const std::string sidecar = session_folder(2) + "perfusion-maps/" + session(2) + "_cbv.json";
  folder->write(sidecar, "{\"Units\": \"a.u.\"}\n");
  EXPECT_TRUE(ended(run_perfpipe(*folder, {"job.yaml", "--output", "other"}), 3,
                    {"_cbv.json", "Units = \"a.u.\"", "ml/100g, ml/100ml", "cbv_units"}));
  fs::remove(*folder / sidecar);
}

}  // namespace
}  // namespace perfpipe
