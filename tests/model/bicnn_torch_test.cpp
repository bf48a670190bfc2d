#include "model/bicnn_torch.hpp"

#include "core/random.hpp"
#include "model/torch_threads.hpp"

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

/// The network as the paper's table has it: 3-D convolutions on two 3x3x70 patches, stacking, fully-connected layers.
/// Shares with the code under test only the order of the weights, which is what layer_table() promises.
class PlainNetwork {
 public:
  PlainNetwork(Architecture a, const at::Tensor& flat) : architecture_(a), flat_(flat) {}

  at::Tensor estimate(const at::Tensor& ctc, const at::Tensor& aif, const at::Tensor& patient) {
    next_ = 0;
    const auto samples = patient.size(0);
    const auto tissue = chain(ctc.view({samples, 1, 3, 3, 70}));
    const auto artery = chain(aif.index_select(0, patient).view({samples, 1, 1, 1, 70}).expand({samples, 1, 3, 3, 70}));
    const auto stacked = at::cat({tissue, artery}, 1);  // [samples, 64, 2, 2, 1]
    // fc6 reads chain, y, x, map; the stack has chain and map, y, x.
    const auto w6 = take({128, 2, 2, 2, 32}).permute({0, 1, 4, 2, 3}).reshape({128, 256});
    const auto l6 = at::relu(at::linear(stacked.reshape({samples, 256}), w6, take({128})));
    const auto w7 = take({128, 128});
    const auto l7 = at::relu(at::linear(l6, w7, take({128})));
    const auto w8 = take({1, 128});
    return at::linear(l7, w8, take({1})).view({samples});
  }

 private:
  at::Tensor take(at::IntArrayRef sizes) {
    std::int64_t n = 1;
    for (const auto k : sizes) n *= k;
    next_ += n;
    return flat_.narrow(0, next_ - n, n).view(sizes);
  }
  at::Tensor chain(const at::Tensor& patches) {
    const auto w1 = take({32, 1, 1, 1, 36});
    auto h = at::relu(at::conv3d(patches, w1, take({32})));
    if (architecture_ == Architecture::convolution) {
      const auto w2 = take({32, 35, 32}).permute({0, 2, 1}).reshape({32, 32, 1, 1, 35});
      h = at::relu(at::conv3d(h, w2, take({32})));
    } else {
      h = at::max_pool3d(h, {1, 1, 35}, {1, 1, 1});
    }
    const auto w3 = take({32, 2, 2, 32}).permute({0, 3, 1, 2}).reshape({32, 32, 2, 2, 1});
    return at::relu(at::conv3d(h, w3, take({32})));
  }
  Architecture architecture_;
  at::Tensor flat_;
  std::int64_t next_ = 0;
};

double relative_difference(const at::Tensor& found, const at::Tensor& exact) {
  return ((found.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

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

TEST_P(BothArchitectures, BackwardEqualsAutogradOfThePapersTable) {
  const auto weights = test_weights(GetParam());
  const Batch batch(13, 3);
  const auto d_estimate = random_tensor({13}, -1.0, 1.0, "d_estimate");
  BiCnn network(GetParam(), weights);
  network.forward(batch.ctc, batch.aif, batch.selection);
  const auto gradient = at::full_like(weights, 7.0);  // must be overwritten, not added to
  network.backward(d_estimate, gradient);

  auto leaf = weights.to(at::kDouble).set_requires_grad(true);
  const auto estimate =
      PlainNetwork(GetParam(), leaf).estimate(batch.ctc.to(at::kDouble), batch.aif.to(at::kDouble), batch.patient);
  (estimate * d_estimate.to(at::kDouble)).sum().backward();
  std::int64_t offset = 0;
  for (const auto& layer : layer_table(GetParam())) {
    std::int64_t n = 1;
    for (const auto k : layer.shape) n *= k;
    EXPECT_LT(relative_difference(gradient.narrow(0, offset, n), leaf.grad().narrow(0, offset, n)), 1e-5) << layer.name;
    offset += n;
  }
  EXPECT_EQ(offset, weights.numel());
}

TEST_P(BothArchitectures, BuffersDoNotCarryOverToBatchesOfOtherShapes) {
  const auto weights = test_weights(GetParam());
  BiCnn used(GetParam(), weights);
  const auto gradient = at::empty_like(weights);
  for (const auto& [samples, patients] : {std::pair{20, 4}, {3, 1}, {30, 2}}) {
    const Batch batch(samples, patients);
    const auto d_estimate = at::ones({samples});
    BiCnn fresh(GetParam(), weights);
    const auto fresh_gradient = at::empty_like(weights);
    const auto expected = fresh.forward(batch.ctc, batch.aif, batch.selection).clone();
    fresh.backward(d_estimate, fresh_gradient);
    EXPECT_TRUE(at::equal(used.forward(batch.ctc, batch.aif, batch.selection), expected));
    used.backward(d_estimate, gradient);
    EXPECT_TRUE(at::equal(gradient, fresh_gradient));
  }
}

TEST_P(BothArchitectures, SeeWhatAnOptimiserChanges) {
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

TEST(BiCnnMaxPool, EqualMaximaShareTheGradient) {
  // Constant curves: all 35 windows are equal. Moving along the weights must change the estimate as the gradient says.
  use_threads(1);
  const auto weights = test_weights(Architecture::max_pool);
  const auto ctc = at::full({9, 70}, 0.5);
  const auto aif = at::full({1, 70}, 2.0);
  const auto selection = at::ones({1, 1});
  BiCnn network(Architecture::max_pool, weights);
  const auto gradient = at::empty_like(weights);
  const double before = network.forward(ctc, aif, selection).item<double>();
  network.backward(at::ones({1}), gradient);
  const double squared = gradient.to(at::kDouble).square().sum().item<double>();
  const double step = 1e-3 / squared;
  weights.add_(gradient, step);
  const double after = network.forward(ctc, aif, selection).item<double>();
  EXPECT_NEAR(after - before, 1e-3, 2e-5);  // first order of the change, with curvature and float rounding
}

}  // namespace
}  // namespace perfpipe
