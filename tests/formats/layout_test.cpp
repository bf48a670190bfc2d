#include "formats/layout.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  LayoutResult result;
  Findings findings;
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& series : result.series) names.push_back(series.name);
    return names;
  }
};

Outcome find(const TempFolder& folder, const std::string& layout = "detect") {
  Outcome outcome;
  outcome.result = find_series(folder.path(), layout, outcome.findings);
  return outcome;
}

using Names = std::vector<std::string>;

TEST(Layout, BidsWithAndWithoutSessions) {
  const TempFolder folder;
  for (const char* name :
       {"sub-02/perf/sub-02_dsc.nii.gz", "sub-02/perf/sub-02_dsc.json", "sub-02/perf/sub-02_aif.tsv",
        "sub-02/perf/sub-02_desc-brain_mask.nii.gz", "sub-02/perf/sub-02_desc-truth_cbf.nii.gz",
        "sub-02/perf/sub-02_desc-truth_tmax.nii", "sub-02/perf/sub-02_desc-target_mtt.nii.gz",
        "sub-02/perf/._sub-02_dsc.nii.gz", "sub-02/perf/sub-02_asl.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-01/ses-a/perf/sub-01_ses-a_dsc.nii", "sub-01/ses-b/perf/sub-01_ses-b_ctp.nii.gz",
        "derivatives/sub-02/perf/sub-02_dsc.nii.gz", "store/x.nii", "participants.tsv"})
    folder.write(name, "");
  const Outcome outcome = find(folder);
  EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
  EXPECT_EQ(outcome.result.layout, "bids");
  ASSERT_EQ(outcome.names(), (Names{"sub-01_ses-a", "sub-01_ses-b", "sub-02"}));
  const auto& a = outcome.result.series[0];
  EXPECT_EQ(a.subject, "sub-01");
  EXPECT_EQ(a.session, "ses-a");
  EXPECT_EQ(a.modality, Modality::mr);
  EXPECT_TRUE(a.sidecar.empty());
  EXPECT_TRUE(a.mask.empty());
  EXPECT_EQ(outcome.result.series[1].modality, Modality::ct) << "_ctp means CT";
  const auto& two = outcome.result.series[2];
  const fs::path perf = folder / "sub-02/perf";
  EXPECT_EQ(two.image, perf / "sub-02_dsc.nii.gz");
  EXPECT_EQ(two.sidecar, perf / "sub-02_dsc.json");
  EXPECT_EQ(two.aif, perf / "sub-02_aif.tsv");
  EXPECT_EQ(two.mask, perf / "sub-02_desc-brain_mask.nii.gz");
  EXPECT_EQ(two.truth[index(Parameter::cbf)], perf / "sub-02_desc-truth_cbf.nii.gz");
  EXPECT_EQ(two.truth[index(Parameter::tmax)], perf / "sub-02_desc-truth_tmax.nii");
  EXPECT_TRUE(two.truth[index(Parameter::cbv)].empty());
  EXPECT_EQ(two.target[index(Parameter::mtt)], perf / "sub-02_desc-target_mtt.nii.gz");
  for (const auto& series : outcome.result.series)
    EXPECT_TRUE(series.findings.empty()) << all_lines(series.findings.lines());
}

TEST(Layout, TwoSeriesForOneSessionAreListed) {
  for (const auto& [first, second] :
       {std::pair{"sub-1_run-1_dsc.nii.gz", "sub-1_run-2_dsc.nii.gz"}, std::pair{"sub-1_dsc.nii", "sub-1_dsc.nii.gz"},
        std::pair{"sub-1_ctp.nii.gz", "sub-1_dsc.nii.gz"}}) {
    const TempFolder folder;
    folder.write(fs::path("sub-1/perf") / first, "");
    folder.write(fs::path("sub-1/perf") / second, "");
    const Outcome outcome = find(folder);
    ASSERT_EQ(outcome.names(), Names{"sub-1"});
    EXPECT_TRUE(
        has_line(outcome.result.series[0].findings.lines(), {"2 series for one session", first, second, "keep one"}))
        << all_lines(outcome.result.series[0].findings.lines());
  }
}

TEST(Layout, OneRunIsTakenWithItsCompanions) {
  const TempFolder folder;
  folder.write("sub-1/perf/sub-1_run-2_dsc.nii.gz", "");
  folder.write("sub-1/perf/sub-1_run-2_desc-brain_mask.nii.gz", "");
  const Outcome outcome = find(folder);
  ASSERT_EQ(outcome.names(), Names{"sub-1"});
  EXPECT_EQ(outcome.result.series[0].mask, folder / "sub-1/perf/sub-1_run-2_desc-brain_mask.nii.gz");
  EXPECT_TRUE(outcome.result.series[0].findings.empty());
}

TEST(Layout, NamesMustMatchTheirFolder) {
  for (const char* name : {"sub-1/perf/sub-2_dsc.nii.gz", "sub-1/perf/sub-10_dsc.nii.gz", "sub-1/perf/dsc_dsc.nii",
                           "sub-1/perf/sub-1_ses-2_dsc.nii.gz", "sub-1/ses-2/perf/sub-1_dsc.nii.gz",
                           "sub-1/ses-2/perf/sub-1_ses-3_dsc.nii.gz"}) {
    const TempFolder folder;
    folder.write(name, "");
    const Outcome outcome = find(folder);
    ASSERT_EQ(outcome.result.series.size(), 1u) << name;
    EXPECT_TRUE(has_line(outcome.result.series[0].findings.lines(),
                         {fs::path(name).filename().string(), "does not match its folder", "rename or move"}))
        << name << all_lines(outcome.result.series[0].findings.lines());
  }
}

TEST(Layout, AMaskInBothFormsIsAnError) {
  const TempFolder folder;
  for (const char* name : {"sub-1_dsc.nii", "sub-1_desc-brain_mask.nii", "sub-1_desc-brain_mask.nii.gz"})
    folder.write(fs::path("sub-1/perf") / name, "");
  const Outcome outcome = find(folder);
  ASSERT_EQ(outcome.names(), Names{"sub-1"});
  EXPECT_TRUE(
      has_line(outcome.result.series[0].findings.lines(), {"sub-1_desc-brain_mask.nii stands beside it", "keep one"}));
}

TEST(Layout, ASubjectWithoutASeriesWarns) {
  const TempFolder folder;
  folder.write("sub-1/perf/sub-1_dsc.nii", "");
  folder.write("sub-2/anat/sub-2_T1w.nii", "");
  const Outcome outcome = find(folder);
  EXPECT_EQ(outcome.names(), Names{"sub-1"});
  EXPECT_TRUE(outcome.findings.empty());
  EXPECT_TRUE(has_line(outcome.result.warnings, {"sub-2", "no series", "sub-2_dsc.nii", "left out"}))
      << all_lines(outcome.result.warnings);
}

TEST(Layout, FlatFolder) {
  const TempFolder folder;
  for (const char* name : {"patient_07.nii.gz", "patient_07.json", "patient_07_mask.nii", "patient_07_aif.tsv", "b.nii",
                           "orphan_mask.nii", "notes.txt", "b_desc-truth_cbv.nii", "sub-x.nii"})
    folder.write(name, "");
  const Outcome outcome = find(folder);
  EXPECT_EQ(outcome.result.layout, "flat");
  ASSERT_EQ(outcome.names(), (Names{"sub-b", "sub-patient07", "sub-x"}));
  const auto& series = outcome.result.series[1];
  EXPECT_EQ(series.alias, "patient_07");
  EXPECT_EQ(series.subject, "sub-patient07");
  EXPECT_EQ(series.sidecar, folder / "patient_07.json");
  EXPECT_EQ(series.mask, folder / "patient_07_mask.nii");
  EXPECT_EQ(series.aif, folder / "patient_07_aif.tsv");
  EXPECT_EQ(outcome.result.series[0].truth[index(Parameter::cbv)], folder / "b_desc-truth_cbv.nii");
  EXPECT_TRUE(has_line(outcome.result.warnings, {"orphan_mask.nii", "without its series"}));
  EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
}

TEST(Layout, FlatNamesMustStayDistinct) {
  const TempFolder folder;
  for (const char* name : {"a_1.nii", "a-1.nii", "c.nii", "c.nii.gz", "_.nii"}) folder.write(name, "");
  const Outcome outcome = find(folder);
  EXPECT_TRUE(has_line(outcome.findings.lines(), {"\"a_1\"", "\"a-1\"", "sub-a1", "rename one"}))
      << all_lines(outcome.findings.lines());
  std::vector<std::string> of_series;
  for (const auto& series : outcome.result.series)
    of_series.insert(of_series.end(), series.findings.lines().begin(), series.findings.lines().end());
  EXPECT_TRUE(has_line(of_series, {"2 series for one patient: c.nii, c.nii.gz"})) << all_lines(of_series);
  EXPECT_TRUE(has_line(of_series, {"\"_\" holds no letter or digit"})) << all_lines(of_series);
}

TEST(Layout, IslesSeventeenNestedAndDirect) {
  const TempFolder folder;
  folder.write("training_2/VSD.Brain.XX.O.MR_4DPWI.111/VSD.Brain.XX.O.MR_4DPWI.111.nii", "");
  folder.write("training_2/VSD.Brain.XX.O.MR_ADC.112/VSD.Brain.XX.O.MR_ADC.112.nii", "");
  folder.write("training_10/VSD.Brain.XX.O.MR_4DPWI.222.nii.gz", "");
  folder.write("training_3/VSD.Brain.XX.O.OT.333/VSD.Brain.XX.O.OT.333.nii", "");
  const Outcome outcome = find(folder);
  EXPECT_EQ(outcome.result.layout, "isles17");
  ASSERT_EQ(outcome.names(), (Names{"sub-training10", "sub-training2"}));
  EXPECT_EQ(outcome.result.series[1].image,
            folder / "training_2/VSD.Brain.XX.O.MR_4DPWI.111/VSD.Brain.XX.O.MR_4DPWI.111.nii");
  EXPECT_EQ(outcome.result.series[1].alias, "training_2");
  EXPECT_TRUE(has_line(outcome.result.warnings, {"training_3", "no series", "left out"}))
      << all_lines(outcome.result.warnings);
}

TEST(Layout, IslesTwentyFourWithTheVendorsMaps) {
  for (const char* root : {"raw_data/", ""}) {
    const TempFolder folder;
    const std::string session = std::string(root) + "sub-stroke0001/ses-01/";
    folder.write(session + "sub-stroke0001_ses-01_ctp.nii.gz", "");
    folder.write(session + "sub-stroke0001_ses-01_ncct.nii.gz", "");
    folder.write(session + "perfusion-maps/sub-stroke0001_ses-01_tmax.nii.gz", "");
    folder.write(std::string(root) + "sub-stroke0002/ses-01/sub-stroke0002_ses-01_ncct.nii.gz", "");
    const Outcome outcome = find(folder);
    EXPECT_EQ(outcome.result.layout, "isles24");
    ASSERT_EQ(outcome.names(), Names{"sub-stroke0001_ses-01"});
    const auto& series = outcome.result.series[0];
    EXPECT_EQ(series.modality, Modality::ct);
    EXPECT_TRUE(series.vendor_targets);
    EXPECT_EQ(series.target[index(Parameter::tmax)],
              folder / (session + "perfusion-maps/sub-stroke0001_ses-01_tmax.nii.gz"));
    EXPECT_TRUE(series.target[index(Parameter::cbf)].empty());
    EXPECT_TRUE(has_line(outcome.result.warnings, {"sub-stroke0002/ses-01", "no series"}))
        << all_lines(outcome.result.warnings);
  }
}

TEST(Layout, DicomIsAnErrorThatNamesTheConverter) {
  const TempFolder by_name, by_content;
  by_name.write("patient/series/IM0001.dcm", "x");
  by_content.write("a/b/0001", std::string(128, '\0') + "DICM....");
  for (const auto* folder : {&by_name, &by_content}) {
    const Outcome outcome = find(*folder);
    EXPECT_TRUE(has_line(outcome.findings.lines(), {folder->path().string(), "DICOM", "dcm2niix"}))
        << all_lines(outcome.findings.lines());
  }
}

TEST(Layout, NoSeriesAtAllIsAnErrorThatSaysWhatWasLookedFor) {
  const TempFolder empty, subjects;
  subjects.write("sub-1/anat/sub-1_T1w.nii", "");
  for (const auto* folder : {&empty, &subjects}) {
    const Outcome outcome = find(*folder);
    EXPECT_TRUE(
        has_line(outcome.findings.lines(), {folder->path().string(), "no perfusion series", "_dsc.nii[.gz]", "flat"}))
        << all_lines(outcome.findings.lines());
  }
  TempFolder flat;
  flat.write("a.nii", "");
  EXPECT_TRUE(has_line(find(flat, "isles17").findings.lines(), {"no perfusion series found in the layout isles17"}));
}

TEST(Layout, APairIsFoundSoThatItCanBeRefused) {
  const TempFolder folder;
  folder.write("sub-1/perf/sub-1_dsc.hdr", "");
  folder.write("sub-1/perf/sub-1_dsc.img", "");
  const Outcome outcome = find(folder);
  ASSERT_EQ(outcome.names(), Names{"sub-1"});
  EXPECT_EQ(outcome.result.series[0].image.extension(), ".hdr");
}

TEST(Layout, ALinkedSubjectFolderIsFollowed) {
  const TempFolder folder;
  folder.write("elsewhere/perf/sub-1_dsc.nii", "");
  fs::create_directory(folder / "cohort");
  fs::create_directory_symlink(folder / "elsewhere", folder / "cohort/sub-1");
  Findings findings;
  const auto result = find_series(folder / "cohort", "detect", findings);
  ASSERT_EQ(result.series.size(), 1u);
  EXPECT_EQ(result.series[0].name, "sub-1");
}

}  // namespace
}  // namespace perfpipe
