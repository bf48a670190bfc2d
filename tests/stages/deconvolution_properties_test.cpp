// What must hold for every method, and where methods are known to differ.
#include "core/error.hpp"
#include "stages/deconvolution_methods.hpp"
#include "tests/stages/deconvolution_curves.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

constexpr std::size_t n = curve_samples;

struct Case {
  const char* name;
  DeconvolutionOptions options;
  bool linear;  ///< k is linear in the curve
  bool delay_invariant;
  double coarse_flow = 0.25;  ///< how much CBF may change when Δt doubles to 2 s
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> cases() {
  const auto with = [](const char* method, auto change) {
    DeconvolutionOptions o;
    o.method = method;
    o.delay_low = -3.0;
    o.delay_high = 12.0;
    change(o);
    return o;
  };
  const auto plain = [](DeconvolutionOptions&) {};
  return {{"bsvd", with("bsvd", plain), true, true},
          {"ssvd", with("ssvd", plain), true, false},
          {"dsvd", with("dsvd", plain), false, true},
          {"osvd", with("osvd", plain), false, true},
          // Without zero-padding the end of k meets its beginning, where the index looks away.
          {"osvd_N", with("osvd", [](auto& o) { o.length = "N"; }), false, false, 0.7},
          {"tikhonov_fixed", with("tikhonov", [](auto& o) { o.regularisation = "fixed"; }), true, true},
          {"tikhonov_standard_fixed",
           with("tikhonov",
                [](auto& o) {
                  o.regularisation = "fixed";
                  o.form = "standard";
                }),
           true, false},
          {"tikhonov", with("tikhonov", plain), false, true},
          {"tikhonov_standard", with("tikhonov", [](auto& o) { o.form = "standard"; }), false, false},
          {"gp", with("gp", plain), false, false},
          {"bayes", with("bayes", plain), false, true},
          {"gamma_variate", with("gamma_variate", plain), false, true}};
}

std::size_t extras_of(const Case& c) { return extra_maps(c.options).size(); }

Maps found(const Case& c, const Values& aif, const Values& curves, double dt = 1.0, int threads = 1) {
  return deconvolved(*make_deconvolution(c.options, aif, dt), curves, extras_of(c), threads, true);
}

class EveryMethod : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod, testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(EveryMethod, ACommonGainChangesNothing) {
  // Another TE, relaxivity or unit of both curves. Weights that are chosen on a grid may fall to the neighbour when a
  // float rounds otherwise; powers of two are exact.
  Random random(2, "gain");
  const auto curve = noisy(tissue_curve(Residue::exponential, 40.0, 5.0, 3.0), 0.05, random);
  const auto once = found(GetParam(), arterial_curve(), curve);
  ASSERT_GT(once.cbf(), 10.0f);
  for (const float gain : {0x1p-12f, 2.0f, 0x1p10f}) {
    const auto both = found(GetParam(), scaled(arterial_curve(), gain), scaled(curve, gain));
    // 2e-5: rounding of float32 sums over 70 and 140 terms is some 1e-6.
    for (std::size_t p = 0; p < 4; ++p)
      EXPECT_NEAR(both.values[p][0], once.values[p][0], 2e-5 * once.values[p][0]) << "parameter " << p;
  }
}

TEST_P(EveryMethod, FlowAndVolumeScaleWithTheTissueCurve) {
  Random random(3, "scale");
  const auto curve = noisy(tissue_curve(Residue::linear, 40.0, 5.0, 3.0), 0.05, random);
  const auto once = found(GetParam(), arterial_curve(), curve),
             fourfold = found(GetParam(), arterial_curve(), scaled(curve, 4.0f));
  EXPECT_NEAR(fourfold.cbf(), 4.0 * once.cbf(), 2e-5 * fourfold.cbf());
  EXPECT_NEAR(fourfold.cbv(), 4.0 * once.cbv(), 2e-5 * fourfold.cbv());
  EXPECT_NEAR(fourfold.mtt(), once.mtt(), 2e-5 * once.mtt());
  EXPECT_NEAR(fourfold.tmax(), once.tmax(), 1e-4);
}

TEST_P(EveryMethod, ALinearOneAddsResidueFunctions) {
  if (!GetParam().linear) return;
  const auto a = tissue_curve(Residue::linear, 50.0, 4.0, 1.0), b = tissue_curve(Residue::box, 20.0, 9.0, 6.0);
  Values sum(n);
  std::transform(a.begin(), a.end(), b.begin(), sum.begin(), std::plus<>());
  const auto of_a = found(GetParam(), arterial_curve(), a), of_b = found(GetParam(), arterial_curve(), b),
             of_sum = found(GetParam(), arterial_curve(), sum);
  const float size = *std::max_element(of_sum.residues.begin(), of_sum.residues.end());
  for (std::size_t t = 0; t < of_sum.residues.size(); ++t)
    EXPECT_NEAR(of_sum.residues[t], of_a.residues[t] + of_b.residues[t], 1e-5 * size) << t;
}

TEST_P(EveryMethod, ADelayMovesTmaxAndNothingElse) {
  if (!GetParam().delay_invariant) return;
  // Curves that end, but for 1e-6 of their height, before 70 s. Methods with a triangular matrix see fewer samples of a
  // later curve, and those that average over delays smooth by less than a sample: 2 %.
  const auto at_once = found(GetParam(), arterial_curve(), tissue_curve(Residue::linear, 50.0, 4.0, 0.0));
  for (const double delay : {1.0, 5.0, 10.0}) {
    const auto later = found(GetParam(), arterial_curve(), tissue_curve(Residue::linear, 50.0, 4.0, delay));
    EXPECT_NEAR(later.cbf(), at_once.cbf(), 0.02 * at_once.cbf()) << delay;
    EXPECT_NEAR(later.cbv(), at_once.cbv(), 0.02 * at_once.cbv()) << delay;
    EXPECT_NEAR(later.tmax(), at_once.tmax() + delay, 0.2) << delay;
  }
}

TEST_P(EveryMethod, TheSameCurvesSampledTwiceAsOftenAreTheSameTissue) {
  // Δt 0.5, 1 and 2 s over the same 70 s. What the regularisation leaves out differs with the noise-free bandwidth;
  // volume does not depend on it.
  const auto at = [&](double dt) {
    const auto samples = static_cast<std::int64_t>(70.0 / dt);
    return found(GetParam(), arterial_curve(dt, samples),
                 tissue_curve(Residue::linear, 60.0, 6.0, 4.0, 0.025, dt, samples), dt);
  };
  const auto half = at(0.5), one = at(1.0), two = at(2.0);
  EXPECT_NEAR(half.cbv(), one.cbv(), 0.02 * one.cbv());
  EXPECT_NEAR(two.cbv(), one.cbv(), 0.03 * one.cbv());
  EXPECT_NEAR(half.cbf(), one.cbf(), 0.10 * one.cbf());
  EXPECT_NEAR(two.cbf(), one.cbf(), GetParam().coarse_flow * one.cbf());
  EXPECT_NEAR(half.tmax(), one.tmax(), 1.0);
  EXPECT_NEAR(two.tmax(), one.tmax(), 2.5);
}

TEST_P(EveryMethod, TheBitsOfAVoxelDependOnItsCurveAlone) {
  Random random(3, "voxels");
  constexpr std::size_t voxels = 600;
  Values curves;
  for (std::size_t v = 0; v < voxels; ++v) {
    const auto curve = noisy(tissue_curve(Residue::box, 50.0, 4.0, random.uniform(-1.0, 6.0), 0.5), 0.1, random);
    curves.insert(curves.end(), curve.begin(), curve.end());
  }
  const auto all = found(GetParam(), arterial_curve(), curves);
  const auto again = found(GetParam(), arterial_curve(), curves, 1.0, 3);
  EXPECT_EQ(again.values, all.values);
  EXPECT_EQ(again.residues, all.residues);
  EXPECT_EQ(again.extras, all.extras);

  Values turned;
  for (std::size_t v = voxels; v-- > 0;) turned.insert(turned.end(), &curves[v * n], &curves[v * n] + n);
  auto backwards = found(GetParam(), arterial_curve(), turned);
  for (auto& map : backwards.values) std::reverse(map.begin(), map.end());
  EXPECT_EQ(backwards.values, all.values);
}

TEST_P(EveryMethod, NoFiniteInputGivesANumberThatIsNone) {
  Random random(4, "fuzz");
  for (int round = 0; round < 12; ++round) {
    const auto draw = [&](double low, double high) {
      const double size = std::pow(10.0, random.uniform(low, high));
      Values values(n);
      for (float& x : values) x = static_cast<float>(size * random.normal());
      if (random.below(3) == 0) values[random.below(n)] = std::numeric_limits<float>::max();
      if (random.below(3) == 0) values[random.below(n)] = std::numeric_limits<float>::denorm_min();
      return values;
    };
    const auto aif = draw(-30.0, 37.0);
    Values curves(n, 0.0f);
    for (int v = 0; v < 20; ++v) {
      const auto curve = draw(-44.0, 38.0);
      curves.insert(curves.end(), curve.begin(), curve.end());
    }
    Maps maps;
    try {
      maps = found(GetParam(), aif, curves, random.uniform(0.1, 10.0));
    } catch (const InputError&) {
      continue;  // an AIF that cannot be divided by is said to be one
    }
    for (const auto& map : maps.values)
      for (const float x : map) ASSERT_TRUE(std::isfinite(x)) << "round " << round;
    for (const auto& map : maps.extras)
      for (const float x : map) ASSERT_TRUE(std::isfinite(x)) << "round " << round;
    for (const float x : maps.residues) ASSERT_TRUE(std::isfinite(x)) << "round " << round;
    for (std::size_t p = 0; p < 4; ++p) EXPECT_EQ(maps.values[p][0], 0.0f) << "a curve of zeros";
  }
}

TEST_P(EveryMethod, RefusesAnAifThatCannotBeDividedBy) {
  for (const float value : {0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    EXPECT_THROW(make_deconvolution(GetParam().options, Values(n, value), 1.0), InputError) << value;
}

const Case& method(const std::string& name) {
  static const auto all = cases();
  return *std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.name == name; });
}

TEST(Methods, WhereTissueIsAheadOfTheArterySsvdIsInErrorAndDsvdIsNot) {
  // The AIF is picked up late, the tissue leads by 1 to 3 s; k cannot begin before 0. Volume is lost. Flow, often said
  // to fall, depends on how long the transit is: at once it is 63 % of the truth, and the longer the lead the more k
  // piles up at 0.
  for (const double lead : {1.0, 2.0, 3.0}) {
    const auto early = tissue_curve(Residue::exponential, 60.0, 4.0, -lead),
               at_once = tissue_curve(Residue::exponential, 60.0, 4.0, 0.0);
    const auto ratio = [&](const char* name, std::size_t p) {
      return found(method(name), arterial_curve(), early).values[p][0] /
             found(method(name), arterial_curve(), at_once).values[p][0];
    };
    EXPECT_GT(ratio("ssvd", 0), 1.3);
    EXPECT_LT(ratio("ssvd", 1), 1.0 - 0.03 * lead);
    for (const char* name : {"bsvd", "dsvd", "osvd", "bayes"})
      for (std::size_t p = 0; p < 3; ++p) EXPECT_NEAR(ratio(name, p), 1.0, 0.03) << name << ", parameter " << p;
  }
}

TEST(Methods, BayesFindsVolumeAndArrivalBetterThanBsvdInNoise) {
  // Curves with a noise of a tenth of their peak; Tmax of undispersed curves is their delay. (Flow of box-like residue
  // functions it overestimates: its prior decays from the start.)
  Random random(9, "noise");
  constexpr std::size_t voxels = 300;
  Values curves;
  std::array<Values, 4> truth;
  for (std::size_t v = 0; v < voxels; ++v) {
    const double mtt = random.uniform(3.0, 12.0), flow = random.uniform(10.0, 60.0), delay = random.uniform(0.0, 6.0);
    const auto clean = tissue_curve(static_cast<Residue>(v % 4), flow, mtt, delay);
    const auto curve = noisy(clean, 0.1 * *std::max_element(clean.begin(), clean.end()), random);
    curves.insert(curves.end(), curve.begin(), curve.end());
    const double all[] = {flow, flow * mtt / 60.0, mtt, delay};
    for (std::size_t p = 0; p < 4; ++p) truth[p].push_back(static_cast<float>(all[p]));
  }
  const auto error = [&](const char* name, std::size_t p) {
    const auto maps = found(method(name), arterial_curve(), curves);
    double sum = 0.0;
    for (std::size_t v = 0; v < voxels; ++v) sum += std::pow(maps.values[p][v] - truth[p][v], 2.0);
    return std::sqrt(sum / voxels);
  };
  for (const std::size_t p : {1, 3}) EXPECT_LT(error("bayes", p), 0.85 * error("bsvd", p)) << "parameter " << p;
}

TEST(Methods, CredibleIntervalsCoverTheTruth) {
  Random random(8, "intervals");
  constexpr std::size_t voxels = 400;
  Values curves, volume;
  for (std::size_t v = 0; v < voxels; ++v) {
    const double mtt = random.uniform(3.0, 10.0);
    volume.push_back(static_cast<float>(random.uniform(2.0, 4.0)));
    const auto curve = noisy(tissue_curve(v % 2 == 0 ? Residue::exponential : Residue::gamma,
                                          volume.back() * 60.0 / mtt, mtt, random.uniform(0.0, 5.0), 0.1),
                             0.02, random);
    curves.insert(curves.end(), curve.begin(), curve.end());
  }
  const auto maps = found(method("bayes"), arterial_curve(), curves);
  std::size_t covered = 0;
  for (std::size_t v = 0; v < voxels; ++v) {
    for (std::size_t p = 0; p < 4; ++p) {
      ASSERT_LE(maps.extras[2 * p][v], maps.values[p][v] + 0.51f) << "integer samples may round by half of one";
      ASSERT_GE(maps.extras[2 * p + 1][v], maps.values[p][v] - 0.51f);
    }
    covered += maps.extras[2][v] <= volume[v] && volume[v] <= maps.extras[3][v];
  }
  // 95 % with a model that is not quite the truth; 400 voxels tell 1 %.
  EXPECT_GE(covered, 0.88 * voxels);
}

TEST(Methods, HaveAThresholdOfTheirOwnAndALimitOfSize) {
  EXPECT_EQ(default_threshold("bsvd"), 0.1);
  EXPECT_EQ(default_threshold("ssvd"), 0.2);
  EXPECT_EQ(default_threshold("gp"), 0.0);
  DeconvolutionOptions options;
  options.method = "gp";
  EXPECT_THROW(make_deconvolution(options, Values(most_dense_samples + 1, 1.0f), 1.0), InputError);
}

}  // namespace
}  // namespace perfpipe
