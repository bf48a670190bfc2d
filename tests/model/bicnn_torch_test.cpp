#include "model/bicnn_torch.hpp"

#include "core/random.hpp"
#include "model/torch_threads.hpp"
#include "tests/model/plain_network.hpp"

#include <stdexcept>
#include <utility>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// Uniform in [low, high), from the project's generator.
at::Tensor random_tensor(at::IntArrayRef sizes, double low, double high, const std::string& stream) {
  Random random(1, stream);
  const auto t = at::empty(sizes, at::kFloat);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data_ptr<float>()[i] = static_cast<float>(random.uniform(low, high));
  return t;
}

at::Tensor test_weights(Architecture a) {
  const auto values = flatten(initial_weights(a, 1, "bicnn_torch_test"));
  return at::tensor(values);
}

/// Inputs of B samples of P patients in the form that BiCnn takes.
struct Batch {
  Batch(std::int64_t samples, std::int64_t patients)
      : ctc(random_tensor({samples * 9, 70}, -0.5, 2.0, "ctc")),
        aif(random_tensor({patients, 70}, 0.0, 10.0, "aif")),
        selection(at::zeros({samples, patients})),
        patient(at::empty({samples}, at::kLong)) {
    Random random(1, "patients");
    for (std::int64_t s = 0; s < samples; ++s) {
      const auto p = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(patients)));
      selection[s][p] = 1.0f;
      patient[s] = p;
    }
  }
  at::Tensor ctc, aif, selection, patient;
};

class BothArchitectures : public testing::TestWithParam<Architecture> {
 protected:
  void SetUp() override { use_threads(1); }
};

TEST_P(BothArchitectures, ForwardEqualsThePapersTableInDoublePrecision) {
  const auto weights = test_weights(GetParam());
  const Batch batch(13, 3);
  BiCnn network(GetParam(), weights);
  const auto found = network.forward(batch.ctc, batch.aif, batch.selection);
  const auto exact = PlainNetwork(GetParam(), weights.to(at::kDouble))
                         .estimate(batch.ctc.to(at::kDouble), batch.aif.to(at::kDouble), batch.patient);
  EXPECT_GT(exact.std().item<double>(), 1e-3);
  // Float sums of up to 1120 terms: 1e-5 relative leaves a margin of ten.
  EXPECT_LT((found.to(at::kDouble) - exact).abs().max().item<double>(), 1e-5 * exact.abs().max().item<double>());
}

TEST_P(BothArchitectures, BuffersDoNotCarryOverToBatchesOfOtherShapes) {
  const auto weights = test_weights(GetParam());
  BiCnn used(GetParam(), weights);
  for (const auto& [samples, patients] : {std::pair{20, 4}, {3, 1}, {30, 2}}) {
    const Batch batch(samples, patients);
    BiCnn fresh(GetParam(), weights);
    const auto expected = fresh.forward(batch.ctc, batch.aif, batch.selection).clone();
    EXPECT_TRUE(at::equal(used.forward(batch.ctc, batch.aif, batch.selection), expected));
  }
}

TEST_P(BothArchitectures, SeeChangesOfTheWeights) {
  const auto weights = test_weights(GetParam());
  const Batch batch(2, 1);
  BiCnn network(GetParam(), weights);
  const auto before = network.forward(batch.ctc, batch.aif, batch.selection).clone();
  weights[weights.numel() - 1] += 1.0f;  // the bias of the last layer
  const auto after = network.forward(batch.ctc, batch.aif, batch.selection);
  EXPECT_LT((after - before - 1.0f).abs().max().item<float>(), 1e-6f);
}

TEST_P(BothArchitectures, RefuseInputsThatDoNotFit) {
  BiCnn network(GetParam(), test_weights(GetParam()));
  EXPECT_THROW(network.forward(at::zeros({9, 70}), at::zeros({2, 70}), at::zeros({1, 1})), std::invalid_argument);
  EXPECT_THROW(network.forward(at::zeros({8, 70}), at::zeros({1, 70}), at::zeros({1, 1})), std::invalid_argument);
  EXPECT_THROW(network.forward(at::zeros({70, 9}).t(), at::zeros({1, 70}), at::zeros({1, 1})), std::invalid_argument);
  EXPECT_THROW(BiCnn(GetParam(), at::zeros({10})), std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(BiCnn, BothArchitectures, testing::Values(Architecture::convolution, Architecture::max_pool),
                         [](const auto& test) {
                           return test.param == Architecture::convolution ? "convolution" : "max_pool";
                         });

}  // namespace
}  // namespace perfpipe
