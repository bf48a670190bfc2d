#include "formats/series_timing.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

NiftiHeader header_with(double distance, int time_unit, std::int64_t frames = 40) {
  NiftiHeader header;
  header.dim = {4, 8, 8, 4, frames, 1, 1, 1};
  header.pixdim[4] = distance;
  header.xyzt_units = 2 | time_unit;
  return header;
}

Series series_named(const std::string& name) {
  Series series;
  series.image = name + "_dsc.nii.gz";
  series.sidecar = name + "_dsc.json";
  return series;
}

struct Outcome {
  Series series = series_named("a");
  Findings findings;
};

Outcome times_of(const NiftiHeader& header, const Sidecar& sidecar, std::optional<double> given = {}) {
  Outcome outcome;
  resolve_times(outcome.series, header, sidecar, given, outcome.findings);
  return outcome;
}

TEST(SeriesTiming, JobFileThenSidecarThenHeader) {
  const NiftiHeader header = header_with(1500, 16);
  const Outcome from_header = times_of(header, {});
  EXPECT_DOUBLE_EQ(from_header.series.repetition_time, 1.5);
  ASSERT_EQ(from_header.series.times.size(), 40u);
  EXPECT_EQ(from_header.series.times.front(), 0.0);
  EXPECT_DOUBLE_EQ(from_header.series.times.back(), 58.5);
  EXPECT_TRUE(from_header.series.warnings.empty()) << all_lines(from_header.series.warnings);
  Sidecar sidecar;
  sidecar.repetition_time = 1.51;  // within 1 % of the header
  const Outcome from_sidecar = times_of(header, sidecar);
  EXPECT_DOUBLE_EQ(from_sidecar.series.repetition_time, 1.51);
  EXPECT_TRUE(from_sidecar.series.warnings.empty()) << all_lines(from_sidecar.series.warnings);
  EXPECT_DOUBLE_EQ(times_of(header, sidecar, 2.0).series.repetition_time, 2.0);
}

TEST(SeriesTiming, WarnsWhenSidecarAndHeaderDiffer) {
  Sidecar sidecar;
  sidecar.repetition_time = 1.8;
  const Outcome outcome = times_of(header_with(1.5, 8), sidecar);
  EXPECT_DOUBLE_EQ(outcome.series.repetition_time, 1.8);
  EXPECT_TRUE(has_line(outcome.series.warnings, {"a_dsc.json", "RepetitionTime = 1.8 s", "1.5 s", "sidecar is used"}))
      << all_lines(outcome.series.warnings);
}

TEST(SeriesTiming, UnknownUnitsNeedASidecarOrTheJobFile) {
  for (const int unit : {0, 32, 40}) {
    const Outcome outcome = times_of(header_with(1.5, unit), {});
    EXPECT_TRUE(has_line(outcome.findings.lines(), {"a_dsc.nii.gz", "xyzt_units = " + std::to_string(2 | unit),
                                                    "unit of time", "a_dsc.json", "cohort.repetition_time"}))
        << all_lines(outcome.findings.lines());
    Sidecar sidecar;
    sidecar.repetition_time = 2.0;
    const Outcome with_sidecar = times_of(header_with(1.5, unit), sidecar);
    EXPECT_TRUE(with_sidecar.findings.empty());
    EXPECT_TRUE(with_sidecar.series.warnings.empty()) << "numbers without a unit cannot be compared";
  }
}

TEST(SeriesTiming, HeaderTimesHaveARange) {
  EXPECT_TRUE(
      has_line(times_of(header_with(0, 8), {}).findings.lines(), {"= 0 in the header", "above 0", "RepetitionTime"}));
  EXPECT_TRUE(has_line(times_of(header_with(0.05, 8), {}).findings.lines(), {"= 0.05", "0.1 to 10 s"}));
  EXPECT_TRUE(
      has_line(times_of(header_with(1500, 8), {}).findings.lines(), {"= 1500", "0.1 to 10 s", "milliseconds?"}));
}

TEST(SeriesTiming, VolumeTimingGivesUnevenTimesFromTheFirstFrame) {
  Sidecar sidecar;
  for (int t = 0; t < 40; ++t) sidecar.volume_timing.push_back(t < 30 ? 0.5 + t : 29.5 + 2.0 * (t - 29));
  const Outcome outcome = times_of(header_with(1, 8), sidecar);
  EXPECT_TRUE(outcome.findings.empty()) << all_lines(outcome.findings.lines());
  EXPECT_DOUBLE_EQ(outcome.series.repetition_time, 1.0) << "the median distance";
  EXPECT_DOUBLE_EQ(outcome.series.times.front(), 0.0);
  EXPECT_DOUBLE_EQ(outcome.series.times[29], 29.0);
  EXPECT_DOUBLE_EQ(outcome.series.times.back(), 49.0);
}

TEST(SeriesTiming, VolumeTimingMustFitTheFrames) {
  Sidecar sidecar;
  sidecar.volume_timing = {0, 1, 2};
  EXPECT_TRUE(has_line(times_of(header_with(1, 8), sidecar).findings.lines(), {"a_dsc.json", "3 times", "40 frames"}));
  sidecar.volume_timing.clear();
  for (int t = 0; t < 40; ++t) sidecar.volume_timing.push_back(0.01 * t);
  EXPECT_TRUE(has_line(times_of(header_with(1, 8), sidecar).findings.lines(),
                       {"median distance of VolumeTiming", "0.1 to 10"}));
}

TEST(SeriesTiming, TheJobFileReplacesVolumeTimingWithAWarning) {
  Sidecar sidecar;
  sidecar.volume_timing = {0, 1, 2};
  const Outcome outcome = times_of(header_with(1, 8), sidecar, 2.0);
  EXPECT_TRUE(outcome.findings.empty());
  EXPECT_DOUBLE_EQ(outcome.series.times.back(), 78.0);
  EXPECT_TRUE(has_line(outcome.series.warnings, {"VolumeTiming is not used", "repetition_time = 2"}));
}

TEST(SeriesTiming, ShortSeriesWarn) {
  const Outcome outcome = times_of(header_with(1, 8, 29), {});
  EXPECT_TRUE(has_line(outcome.series.warnings, {"a_dsc.nii.gz", "lasts 29 s (29 frames)", "below 30 s"}))
      << all_lines(outcome.series.warnings);
  EXPECT_TRUE(times_of(header_with(1, 8, 30), {}).series.warnings.empty());
}

TEST(SeriesTiming, EchoTimeIsNeededForAnMrSignalOnly) {
  const auto echo = [](Modality modality, SeriesKind kind, const Sidecar& sidecar, std::optional<double> given) {
    Outcome outcome;
    outcome.series.modality = modality;
    outcome.series.kind = kind;
    resolve_echo_time(outcome.series, sidecar, given, outcome.findings);
    return outcome;
  };
  Sidecar sidecar;
  sidecar.echo_time = 0.03;
  EXPECT_EQ(echo(Modality::mr, SeriesKind::signal, sidecar, {}).series.echo_time, 0.03);
  EXPECT_EQ(echo(Modality::mr, SeriesKind::signal, sidecar, 0.025).series.echo_time, 0.025);
  EXPECT_TRUE(has_line(echo(Modality::mr, SeriesKind::signal, {}, {}).findings.lines(),
                       {"a_dsc.nii.gz", "no echo time", "EchoTime", "cohort.echo_time",
                        "cancels where the AIF comes from the "
                        "same image"}));
  EXPECT_TRUE(echo(Modality::ct, SeriesKind::signal, {}, {}).findings.empty());
  EXPECT_TRUE(echo(Modality::mr, SeriesKind::concentration, {}, {}).findings.empty());
  EXPECT_EQ(echo(Modality::ct, SeriesKind::signal, sidecar, {}).series.echo_time, 0.0);
}

}  // namespace
}  // namespace perfpipe
