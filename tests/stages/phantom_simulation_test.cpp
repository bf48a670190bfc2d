#include "stages/phantom_simulation.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

PhantomOptions small() {
  PhantomOptions options;
  options.size = {48, 48, 4};
  return options;
}

/// No noise to speak of and a steady signal: what is left is the physics.
PhantomOptions noise_free() {
  PhantomOptions options = small();
  options.snr_low = options.snr_high = 1e6;
  options.out_of_steady_state = false;
  return options;
}

std::size_t count(const Head& head, Tissue tissue) {
  return static_cast<std::size_t>(std::count(head.tissue.begin(), head.tissue.end(), tissue));
}

TEST(SimulatePatient, GivesTheSameBitsWhateverTheNumberOfPatients) {
  PhantomOptions few = small();
  few.patients = 2;
  PhantomOptions many = small();
  many.patients = 40;
  const auto a = simulate_patient(few, 7, 2);
  const auto b = simulate_patient(many, 7, 2);
  EXPECT_EQ(a.signal, b.signal);
  EXPECT_EQ(a.truth, b.truth);
  EXPECT_EQ(a.times, b.times);
}

TEST(SimulatePatient, PatientsAndSeedsDiffer) {
  const auto a = simulate_patient(small(), 7, 1);
  EXPECT_NE(a.truth[0], simulate_patient(small(), 7, 2).truth[0]);
  EXPECT_NE(a.truth[0], simulate_patient(small(), 8, 1).truth[0]);
}

TEST(SimulatePatient, AnotherScanHasTheSamePatientAndOtherNoiseOfTheSameSize) {
  PhantomOptions options = small();
  const auto first = simulate_patient(options, 7, 1);
  options.scan = 2;
  const auto second = simulate_patient(options, 7, 1);
  EXPECT_EQ(first.truth, second.truth);
  EXPECT_EQ(first.times, second.times);
  EXPECT_EQ(first.aif, second.aif);
  double squares = 0.0;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < first.signal.size(); ++i) {
    const double difference = static_cast<double>(first.signal[i]) - static_cast<double>(second.signal[i]);
    if (first.signal[i] < 20.0 * first.noise_sd) continue;  // where Rician noise is Gaussian
    ++differing;
    squares += difference * difference;
  }
  ASSERT_GT(differing, 1000u);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(differing)) / first.noise_sd, std::sqrt(2.0), 0.05);
}

TEST(SimulatePatient, DrawsWithinTheRangesOfItsOptions) {
  PhantomOptions options = small();
  options.size = {16, 16, 1};
  for (std::int64_t n = 1; n <= 30; ++n) {
    const auto p = simulate_patient(options, 3, n);
    EXPECT_GE(p.repetition_time, 1.0);
    EXPECT_LE(p.repetition_time, 2.2);
    EXPECT_GE(p.echo_time, 0.025);
    EXPECT_LE(p.echo_time, 0.030);
    EXPECT_GE(p.snr, 15.0);
    EXPECT_LE(p.snr, 150.0);
    EXPECT_GE(p.input.arrival, 8.0);
    EXPECT_LE(p.input.arrival, 14.0);
    EXPECT_LE(p.times.back(), 90.0);
    EXPECT_GT(p.times.back(), 90.0 - p.repetition_time);
    EXPECT_EQ(p.signal.size(), 16 * 16 * p.times.size());
    EXPECT_EQ(p.aif.size(), p.times.size());
  }
}

TEST(SimulatePatient, TruthObeysTheCentralVolumeTheorem) {
  const auto p = simulate_patient(small(), 1, 1);
  std::size_t perfused = 0;
  for (std::size_t i = 0; i < p.brain_mask.size(); ++i) {
    const double cbf = p.truth[0][i];
    // Stored as float32: 1e-6 relative.
    EXPECT_NEAR(p.truth[1][i], cbf * p.truth[2][i] / 60.0, 1e-6 * p.truth[1][i] + 1e-12);
    perfused += cbf > 0.0;
    if (cbf == 0.0) {
      EXPECT_EQ(p.truth[1][i] + p.truth[2][i] + p.truth[3][i], 0.0f);
    }
    if (!p.brain_mask[i]) {
      EXPECT_EQ(cbf, 0.0);
    }
  }
  EXPECT_GT(perfused, p.brain_mask.size() / 4);
}

TEST(SimulatePatient, SignalInvertsToTheConcentration) {
  const PhantomOptions options = noise_free();
  const auto p = simulate_patient(options, 5, 1);
  const auto head = draw_head(options, 5, p.name);
  const std::size_t frames = p.times.size();
  BolusConvolution convolution(p.input, p.times.back());
  std::vector<double> expected(frames);
  for (std::size_t i = 0; i < head.tissue.size(); i += 7) {
    if (head.tissue[i] == Tissue::air || head.tissue[i] == Tissue::vein) continue;
    convolution.tissue(head.kinetics[i], 1.04 / 0.73, p.times, expected);
    for (std::size_t t = 0; t < frames; ++t) expected[t] += head.blood[i] * (p.aif[t] - expected[t]);
    const float* s = &p.signal[i * frames];
    for (std::size_t t = 0; t < frames; ++t) {
      // Noise of 1e-6 of S0 where at least 2 % of the signal is left, over TE of 25 ms: 2e-3 1/s per SD; 6 SD.
      ASSERT_NEAR(-std::log(s[t] / s[0]) / p.echo_time, expected[t], 0.02) << "voxel " << i << ", frame " << t;
    }
  }
}

TEST(SimulatePatient, NoiseHasTheStatedSize) {
  PhantomOptions options = small();
  options.snr_low = options.snr_high = 40.0;
  const auto p = simulate_patient(options, 2, 1);
  EXPECT_DOUBLE_EQ(p.noise_sd, 25.0);
  const auto head = draw_head(options, 2, p.name);
  const std::size_t frames = p.times.size();
  double air = 0.0, air_samples = 0.0, squares = 0.0, freedom = 0.0;
  for (std::size_t i = 0; i < head.tissue.size(); ++i) {
    const float* s = &p.signal[i * frames];
    if (head.tissue[i] == Tissue::air) {
      for (std::size_t t = 0; t < frames; ++t) air += s[t];
      air_samples += static_cast<double>(frames);
    } else if (head.tissue[i] == Tissue::grey) {
      // Two baseline frames in the steady state: their difference has twice the variance.
      squares += 0.5 * std::pow(s[2] - s[3], 2);
      freedom += 1.0;
    }
  }
  ASSERT_GT(p.input.arrival, p.times[3]);
  ASSERT_GT(freedom, 1000.0);
  // Rayleigh noise in air; a SD from more than 1000 differences is good to 2.3 % (one SD), from 1e5 samples to 0.2 %.
  EXPECT_NEAR(air / air_samples, 25.0 * std::sqrt(std::numbers::pi / 2.0), 0.3);
  EXPECT_NEAR(std::sqrt(squares / freedom), 25.0, 0.07 * 25.0);
}

TEST(SimulatePatient, FirstFramesAreOutOfTheSteadyState) {
  const auto p = simulate_patient(small(), 4, 3);
  const std::size_t frames = p.times.size();
  double first = 0.0, later = 0.0;
  for (std::size_t i = 0; i < p.brain_mask.size(); ++i)
    if (p.brain_mask[i]) {
      first += p.signal[i * frames];
      later += p.signal[i * frames + 2];
    }
  // 27-32 %, and noise over thousands of voxels.
  EXPECT_GT(first / later, 1.26);
  EXPECT_LT(first / later, 1.33);
}

TEST(SimulatePatient, BolusIsVisibleInTissueAndNotLostInArteries) {
  const PhantomOptions options = noise_free();
  for (std::int64_t n = 1; n <= 3; ++n) {
    const auto p = simulate_patient(options, 6, n);
    const auto head = draw_head(options, 6, p.name);
    const std::size_t frames = p.times.size();
    std::vector<double> left;
    for (std::size_t i = 0; i < head.tissue.size(); ++i) {
      const float* s = &p.signal[i * frames];
      const double lowest = *std::min_element(s, s + frames) / s[0];
      if (head.tissue[i] == Tissue::grey && head.lesion[i] == 0) left.push_back(lowest);
      if (head.blood[i] == 1.0f && head.tissue[i] == Tissue::artery) {
        EXPECT_GT(lowest, 0.05);
        EXPECT_LT(lowest, 0.25);
      }
    }
    std::nth_element(left.begin(), left.begin() + static_cast<long>(left.size() / 2), left.end());
    EXPECT_LT(left[left.size() / 2], 0.96);
    EXPECT_GT(left[left.size() / 2], 0.88);
  }
}

TEST(DrawHead, HasAllTissuesInPlausibleShares) {
  PhantomOptions options = small();
  options.size = {64, 64, 6};
  for (const char* name : {"sub-01", "sub-02", "sub-03"}) {
    const auto head = draw_head(options, 1, name);
    const auto all = static_cast<double>(head.tissue.size());
    const double brain = all - static_cast<double>(count(head, Tissue::air));
    EXPECT_GT(brain / all, 0.35);
    EXPECT_LT(brain / all, 0.60);
    EXPECT_GT(static_cast<double>(count(head, Tissue::grey)) / brain, 0.25);
    EXPECT_GT(static_cast<double>(count(head, Tissue::white)) / brain, 0.25);
    EXPECT_GT(static_cast<double>(count(head, Tissue::csf)) / brain, 0.01);
    // Several tens of voxels: what an automatic search needs.
    EXPECT_GE(count(head, Tissue::artery), 50u);
    EXPECT_GE(count(head, Tissue::vein), 20u);
  }
}

TEST(DrawHead, TissueOfTheHealthySideHasTheValuesOfItsClass) {
  PhantomOptions options = small();
  options.size = {64, 64, 6};
  const auto head = draw_head(options, 1, "sub-01");
  double sums[2] = {0.0, 0.0};
  double counts[2] = {0.0, 0.0};
  for (std::size_t i = 0; i < head.tissue.size(); ++i) {
    if (head.lesion[i] != 0) continue;
    if (head.tissue[i] != Tissue::grey && head.tissue[i] != Tissue::white) continue;
    const auto which = head.tissue[i] == Tissue::grey ? 0 : 1;
    sums[which] += head.kinetics[i].cbf;
    counts[which] += 1.0;
    EXPECT_LE(head.kinetics[i].cbf, 67.0 + 1e-9);
    EXPECT_LE(head.kinetics[i].dispersion, 0.3 * head.kinetics[i].delay);
  }
  // Means of 53 and 25; half-grey voxels at the border and the lesion's fringe pull them towards each other and down.
  EXPECT_NEAR(sums[0] / counts[0], 51.0, 5.0);
  EXPECT_NEAR(sums[1] / counts[1], 26.0, 4.0);
}

TEST(DrawHead, LesionIsInOneHemisphereSlowAndGraded) {
  PhantomOptions options = small();
  options.size = {64, 64, 5};
  for (int n = 1; n <= 8; ++n) {
    const auto head = draw_head(options, 11, "sub-0" + std::to_string(n));
    std::size_t volume[2] = {0, 0};
    std::size_t core = 0;
    double slowest[2] = {0.0, 0.0};
    for (std::size_t i = 0; i < head.tissue.size(); ++i) {
      const std::size_t side = i % 64 < 32 ? 0 : 1;
      volume[side] += head.lesion[i] > 0;
      core += head.lesion[i] == 2;
      slowest[side] = std::max(slowest[side], head.kinetics[i].delay);
    }
    const std::size_t ill = volume[0] > volume[1] ? 0 : 1;
    EXPECT_GT(volume[ill], 200u);
    EXPECT_EQ(volume[1 - ill], 0u);
    EXPECT_GT(core, 0u);
    EXPECT_LT(core, volume[ill]);
    EXPECT_GT(slowest[ill], 4.0);
    EXPECT_LE(slowest[ill], 12.0);
    EXPECT_LE(slowest[1 - ill], 2.0);
  }
}

TEST(DrawHead, BroadPriorsFillTheirRanges) {
  PhantomOptions options = small();
  options.size = {64, 64, 6};
  options.tissue = "broad";
  double longest = 0.0, shortest = 1e9, highest = 0.0, latest = 0.0;
  for (int n = 1; n <= 3; ++n)
    for (const auto& k : draw_head(options, 1, "sub-0" + std::to_string(n)).kinetics) {
      if (k.cbf == 0.0) continue;
      longest = std::max(longest, k.mtt);
      shortest = std::min(shortest, k.mtt);
      highest = std::max(highest, k.cbf);
      latest = std::max(latest, k.delay);
      EXPECT_GE(k.cbf, 2.0);
      EXPECT_LE(k.cbf * k.mtt / 60.0, 12.0 + 1e-9);
    }
  EXPECT_LT(shortest, 3.0);
  EXPECT_GT(longest, 22.0);
  EXPECT_LE(longest, 25.0);
  EXPECT_GT(highest, 100.0);
  EXPECT_LE(highest, 120.0);
  EXPECT_GT(latest, 11.0);
  EXPECT_LE(latest, 12.0);
}

TEST(DrawHead, OneResidueFunctionOrAll) {
  PhantomOptions options = small();
  options.residue = "box";
  for (const auto& k : draw_head(options, 1, "sub-01").kinetics)
    if (k.cbf > 0.0) {
      ASSERT_EQ(k.residue, Residue::box);
      ASSERT_EQ(k.dispersion, 0.0);
    }
  options.residue = "mixed";
  std::size_t seen[4] = {};
  for (const auto& k : draw_head(options, 1, "sub-01").kinetics)
    if (k.cbf > 0.0) ++seen[static_cast<std::size_t>(k.residue)];
  for (std::size_t n : seen) EXPECT_GT(n, 100u);
}

TEST(ClassPerfusion, MeetsTheTableAtTheStates) {
  for (double severity : {0.0, 1.0, 2.0}) {
    const auto i = static_cast<std::size_t>(severity);
    EXPECT_NEAR(class_perfusion(1.0, severity)[0], grey_matter.cbf[i], 1e-12);
    EXPECT_NEAR(class_perfusion(1.0, severity)[1], grey_matter.cbv[i], 1e-12);
    EXPECT_NEAR(class_perfusion(0.0, severity)[0], white_matter.cbf[i], 1e-12);
    EXPECT_NEAR(class_perfusion(0.0, severity)[1], white_matter.cbv[i], 1e-12);
  }
}

TEST(CheckPhantomOptions, DefaultsAreFine) {
  Findings findings;
  check_phantom_options({}, "job", findings);
  EXPECT_TRUE(findings.empty());
}

TEST(CheckPhantomOptions, NamesReversedRangesAndACutBolus) {
  PhantomOptions options;
  options.snr_low = 200.0;
  options.duration = 40.0;
  Findings findings;
  check_phantom_options(options, "job.yaml:3:5", findings);
  ASSERT_EQ(findings.lines().size(), 2u);
  EXPECT_NE(findings.lines()[0].find("snr_low = 200 is above snr_high = 150"), std::string::npos)
      << findings.lines()[0];
  EXPECT_NE(findings.lines()[1].find("duration = 40 cuts the bolus"), std::string::npos) << findings.lines()[1];
}

}  // namespace
}  // namespace perfpipe
