#include "model/training_network.hpp"

#include "core/random.hpp"
#include "tests/model/plain_network.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::vector<float> uniform(std::size_t count, double low, double high, const std::string& stream) {
  Random random(1, stream);
  std::vector<float> values(count);
  for (auto& x : values) x = static_cast<float>(random.uniform(low, high));
  return values;
}

/// Samples of some patients, and what their estimates' gradients are.
struct MiniBatch {
  MiniBatch(std::size_t samples, std::size_t patient_count)
      : curves(uniform(samples * 9 * 70, -0.5, 2.0, "curves")),
        aifs(uniform(patient_count * 70, 0.0, 10.0, "aifs")),
        d_estimates(uniform(samples, -1.0, 1.0, "d_estimates")) {
    Random random(1, "patients");
    for (std::size_t s = 0; s < samples; ++s)
      patients.push_back(static_cast<std::int32_t>(random.below(patient_count)));
  }
  std::vector<float> curves, aifs, d_estimates;
  std::vector<std::int32_t> patients;
};

struct Outcome {
  std::vector<float> estimates;
  std::vector<float> gradient;  ///< in the file's order
};

/// Through a network that is used already, or a new one; `pieces` samples at once.
Outcome pass(TrainingNetwork& network, const std::vector<float>& flat, const MiniBatch& batch,
             std::size_t pieces = samples_at_once) {
  const std::size_t patients = batch.aifs.size() / 70;
  AlignedFloats weights(network.size()), gradient(network.gradient_size(patients));
  const auto arranged = network.arrange(flat);
  std::copy(arranged.begin(), arranged.end(), weights.data());
  std::fill_n(gradient.data(), gradient.size(), 7.0f);  // must be overwritten
  network.begin(weights.span(), batch.aifs, true);
  Outcome outcome;
  for (std::size_t first = 0; first < batch.patients.size(); first += pieces) {
    const std::size_t here = std::min(pieces, batch.patients.size() - first);
    std::copy_n(batch.curves.begin() + static_cast<std::ptrdiff_t>(first * 630), here * 630, network.curves().begin());
    const auto estimates = network.estimate({batch.patients.data() + first, here});
    outcome.estimates.insert(outcome.estimates.end(), estimates.begin(), estimates.end());
    network.add_gradient({batch.d_estimates.data() + first, here}, first == 0,
                         gradient.span().first(network.shard_size(patients)));
  }
  network.finish_gradient(gradient.span());
  outcome.gradient = network.in_file_order(gradient.span().first(network.size()));
  return outcome;
}

std::vector<float> test_weights(Architecture a) { return flatten(initial_weights(a, 1, "training_network_test")); }

class EveryKernel : public testing::TestWithParam<std::tuple<Architecture, std::size_t>> {
 protected:
  Architecture architecture() const { return std::get<0>(GetParam()); }
  const TrainingKernel& kernel() const {
    const auto kernels = training_kernels();
    return *kernels[std::min(std::get<1>(GetParam()), kernels.size() - 1)];
  }
};

TEST_P(EveryKernel, EqualsAutogradOfThePapersTableInDoublePrecision) {
  const auto flat = test_weights(architecture());
  for (const std::size_t samples : {13u, 37u, 1u}) {  // one piece, three pieces, and fewer rows than a tile has
    const MiniBatch batch(samples, 13);
    TrainingNetwork network(architecture(), kernel());
    const auto found = pass(network, flat, batch);

    const auto n = static_cast<std::int64_t>(samples);
    const auto tensor = [](const std::vector<float>& values, at::IntArrayRef sizes) {
      return at::tensor(values).view(sizes).to(at::kDouble);
    };
    auto leaf = tensor(flat, {static_cast<std::int64_t>(flat.size())}).set_requires_grad(true);
    const auto patients = at::tensor(std::vector<std::int64_t>(batch.patients.begin(), batch.patients.end()));
    const auto exact = PlainNetwork(architecture(), leaf)
                           .estimate(tensor(batch.curves, {n * 9, 70}), tensor(batch.aifs, {-1, 70}), patients);
    (exact * tensor(batch.d_estimates, {n})).sum().backward();

    const auto difference = (tensor(found.estimates, {n}) - exact).abs().max().item<double>();
    // Float sums of up to 1120 terms: 1e-5 relative leaves a margin of ten.
    EXPECT_LT(difference, 1e-5 * exact.abs().max().item<double>());
    const auto gradient = tensor(found.gradient, {static_cast<std::int64_t>(flat.size())});
    std::int64_t offset = 0;
    for (const auto& layer : layer_table(architecture())) {
      std::int64_t count = 1;
      for (const auto k : layer.shape) count *= k;
      const auto expected = leaf.grad().narrow(0, offset, count);
      EXPECT_GT(expected.norm().item<double>(), 0.0) << layer.name;
      const auto error = (gradient.narrow(0, offset, count) - expected).norm().item<double>();
      EXPECT_LT(error, 1e-5 * expected.norm().item<double>()) << layer.name << ", " << samples << " samples";
      offset += count;
    }
    EXPECT_EQ(offset, static_cast<std::int64_t>(flat.size()));
  }
}

TEST_P(EveryKernel, NothingCarriesOverToTheNextMiniBatch) {
  const auto flat = test_weights(architecture());
  TrainingNetwork used(architecture(), kernel());
  for (const auto& [samples, patients] : {std::pair<std::size_t, std::size_t>{20, 14}, {3, 1}, {30, 2}}) {
    const MiniBatch batch(samples, patients);
    TrainingNetwork fresh(architecture(), kernel());
    const auto expected = pass(fresh, flat, batch);
    const auto found = pass(used, flat, batch);
    EXPECT_EQ(found.estimates, expected.estimates);
    EXPECT_EQ(found.gradient, expected.gradient);
  }
}

INSTANTIATE_TEST_SUITE_P(TrainingNetwork, EveryKernel,
                         testing::Combine(testing::Values(Architecture::convolution, Architecture::max_pool),
                                          testing::Values(0u, 1u, 2u)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param) == Architecture::convolution ? "convolution"
                                                                                                   : "max_pool") +
                                  "_" + std::to_string(std::get<1>(test.param));
                         });

class TrainedArchitectures : public testing::TestWithParam<Architecture> {};

TEST_P(TrainedArchitectures, HaveTheSameBitsOnEveryProcessorWithFusedMultiplyAdd) {
  const MiniBatch batch(29, 5);
  const auto flat = test_weights(GetParam());
  std::vector<Outcome> outcomes;
  for (const auto* kernel : training_kernels())
    if (std::string(kernel->name) != "portable") {
      TrainingNetwork network(GetParam(), *kernel);
      outcomes.push_back(pass(network, flat, batch));
    }
  if (outcomes.size() < 2) GTEST_SKIP() << "this machine has fewer than two kernels with fused multiply-add";
  EXPECT_EQ(outcomes[0].estimates, outcomes[1].estimates);
  EXPECT_EQ(outcomes[0].gradient, outcomes[1].gradient);
}

TEST_P(TrainedArchitectures, ASamplesEstimateDoesNotDependOnItsPlace) {
  const MiniBatch batch(16, 3);
  const auto flat = test_weights(GetParam());
  TrainingNetwork network(GetParam());
  const auto together = pass(network, flat, batch, 16).estimates;
  EXPECT_EQ(pass(network, flat, batch, 5).estimates, together);
  EXPECT_EQ(pass(network, flat, batch, 1).estimates, together);
}

TEST_P(TrainedArchitectures, WeightsAreArrangedAndBack) {
  auto flat = test_weights(GetParam());
  for (std::size_t i = 0; i < flat.size(); ++i) flat[i] = static_cast<float>(i + 1);
  const TrainingNetwork network(GetParam());
  const auto arranged = network.arrange(flat);
  EXPECT_EQ(network.in_file_order(arranged), flat);
  EXPECT_EQ(std::count(arranged.begin(), arranged.end(), 0.0f),
            static_cast<std::ptrdiff_t>(arranged.size() - flat.size()));
  EXPECT_THROW(network.arrange({flat.data(), flat.size() - 1}), std::invalid_argument);
}

TEST_P(TrainedArchitectures, RefuseWhatDoesNotFit) {
  TrainingNetwork network(GetParam());
  AlignedFloats weights(network.size()), small(1);
  const std::vector<float> aif(70, 1.0f);
  EXPECT_THROW(network.begin(small.span(), aif, true), std::invalid_argument);
  network.begin(weights.span(), aif, true);
  const std::vector<std::int32_t> patients(samples_at_once + 1, 0);
  EXPECT_THROW(network.estimate(patients), std::invalid_argument);
  network.estimate({patients.data(), 2});
  const std::vector<float> d(2, 1.0f);
  EXPECT_THROW(network.add_gradient(d, true, small.span()), std::invalid_argument);
  EXPECT_THROW(network.finish_gradient(small.span()), std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(TrainingNetwork, TrainedArchitectures,
                         testing::Values(Architecture::convolution, Architecture::max_pool), [](const auto& test) {
                           return test.param == Architecture::convolution ? "convolution" : "max_pool";
                         });

TEST(TrainingNetworkMaxPool, EqualMaximaGiveAGradientOfTheEstimate) {
  // Constant curves: all 35 windows are equal. Moving along the weights must change the estimate as the gradient says.
  auto flat = test_weights(Architecture::max_pool);
  MiniBatch batch(1, 1);
  std::fill(batch.curves.begin(), batch.curves.end(), 0.5f);
  std::fill(batch.aifs.begin(), batch.aifs.end(), 2.0f);
  batch.d_estimates[0] = 1.0f;
  TrainingNetwork network(Architecture::max_pool);
  const auto before = pass(network, flat, batch);
  double squared = 0.0;
  for (const double g : before.gradient) squared += g * g;
  for (std::size_t i = 0; i < flat.size(); ++i)
    flat[i] += static_cast<float>(1e-3 / squared * static_cast<double>(before.gradient[i]));
  const auto after = pass(network, flat, batch);
  // First order of the change, with curvature and float rounding.
  EXPECT_NEAR(static_cast<double>(after.estimates[0]) - static_cast<double>(before.estimates[0]), 1e-3, 2e-5);
}

}  // namespace
}  // namespace perfpipe
