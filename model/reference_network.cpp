#include "core/error.hpp"
#include "model/bicnn_torch.hpp"
#include "model/scaling.hpp"
#include "model/torch_parts.hpp"
#include "model/torch_threads.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace perfpipe {
namespace {

constexpr auto samples_of_curve = static_cast<std::size_t>(curve_samples);
constexpr auto positions = static_cast<std::size_t>(patch_positions);

class TorchNetwork final : public ReferenceNetwork {
 public:
  TorchNetwork(const WeightFile& weights, const std::string& source) {
    use_one_thread();
    facts_ = check_weights(weights, source);
    const auto flat = flatten(weights.tensors);
    weights_ = at::empty({static_cast<std::int64_t>(flat.size())}, at::kFloat);
    std::copy(flat.begin(), flat.end(), weights_.data_ptr<float>());
  }

  const WeightFacts& facts() const override { return facts_; }
  std::vector<float> estimate(std::span<const float> curves, std::span<const std::int32_t> neighbours,
                              std::span<const float> aif) const override;

 private:
  WeightFacts facts_;
  at::Tensor weights_;
};

std::vector<float> TorchNetwork::estimate(std::span<const float> curves, std::span<const std::int32_t> neighbours,
                                          std::span<const float> aif) const {
  const std::size_t rows = curves.size() / samples_of_curve;
  if (curves.size() % samples_of_curve != 0 || rows == 0 || neighbours.size() % positions != 0 ||
      aif.size() != samples_of_curve)
    throw std::invalid_argument(
        "ReferenceEngine::estimate: curves [n, 70], neighbours [n, 9] and an AIF [70] are needed");
  if (!std::all_of(neighbours.begin(), neighbours.end(),
                   [&](std::int32_t row) { return row >= 0 && static_cast<std::size_t>(row) < rows; }))
    throw std::invalid_argument("ReferenceEngine::estimate: a neighbour is not a row of the curves");
  use_one_thread();
  const float factor = input_factor(aif, facts_.input_scale);

  constexpr auto count = static_cast<std::int64_t>(inference_block);
  BiCnn network(architecture_of(facts_.parameter), weights_);
  const auto ctc = at::empty({count * patch_positions, curve_samples}, at::kFloat);
  const auto artery = at::empty({1, curve_samples}, at::kFloat);
  const auto selection = at::ones({count, 1}, at::kFloat);
  scale_curve(aif, factor, {artery.data_ptr<float>(), samples_of_curve});
  const std::span<float> inputs(ctc.data_ptr<float>(), static_cast<std::size_t>(ctc.numel()));

  std::vector<float> estimates(neighbours.size() / positions);
  std::vector<std::int32_t> padded(inference_block * positions);
  for (std::size_t start = 0; start < estimates.size(); start += inference_block) {
    const std::size_t here = std::min(inference_block, estimates.size() - start);
    std::fill(padded.begin(), padded.end(), 0);
    std::copy_n(neighbours.begin() + static_cast<std::ptrdiff_t>(start * positions), here * positions, padded.begin());
    scale_patch(curves, padded, factor, inputs);
    const float* found = network.forward(ctc, artery, selection).data_ptr<float>();
    for (std::size_t i = 0; i < here; ++i) {
      if (!std::isfinite(found[i]))
        throw InputError("the " + std::string(perfpipe::facts(facts_.parameter).label) +
                         " network's estimate for voxel " + std::to_string(start + i) +
                         " is not finite: its curves or their scale are out of range");
      estimates[start + i] = std::max(found[i], 0.0f);
    }
  }
  return estimates;
}

}  // namespace

std::unique_ptr<const ReferenceNetwork> make_reference_network(const WeightFile& weights, const std::string& source) {
  return std::make_unique<const TorchNetwork>(weights, source);
}

}  // namespace perfpipe
