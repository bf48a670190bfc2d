#include "bench/patchwise.hpp"

#include "model/bicnn.hpp"

#include <memory>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace perfpipe::bench {
namespace {

struct Chain {
  at::Tensor conv1 = at::randn({32, 1, 36, 1, 1}), conv1_bias = at::randn({32});
  at::Tensor conv2 = at::randn({32, 32, 35, 1, 1}), conv2_bias = at::randn({32});
  at::Tensor conv3 = at::randn({32, 32, 1, 2, 2}), conv3_bias = at::randn({32});

  void move_to(at::Device device) {
    for (auto* tensor : {&conv1, &conv1_bias, &conv2, &conv2_bias, &conv3, &conv3_bias}) *tensor = tensor->to(device);
  }

  /// [B, 1, 70, 3, 3] to [B, 128].
  at::Tensor forward(const at::Tensor& patches, bool pooled) const {
    const auto l2 = at::conv3d(patches, conv1, conv1_bias).relu_();
    const auto l3 = pooled ? at::max_pool3d(l2, {35, 1, 1}) : at::conv3d(l2, conv2, conv2_bias).relu_();
    return at::conv3d(l3, conv3, conv3_bias).relu_().flatten(1);
  }
};

struct Network {
  Chain ctc, aif;
  at::Tensor fc6 = at::randn({128, 256}), fc7 = at::randn({128, 128}), fc8 = at::randn({1, 128});
  at::Tensor fc6_bias = at::randn({128}), fc7_bias = at::randn({128}), fc8_bias = at::randn({1});
  at::Tensor tissue, artery;  ///< [B, 1, 70, 3, 3]

  void move_to(at::Device device) {
    ctc.move_to(device);
    aif.move_to(device);
    for (auto* tensor : {&fc6, &fc7, &fc8, &fc6_bias, &fc7_bias, &fc8_bias, &tissue, &artery})
      *tensor = tensor->to(device);
  }
};

std::function<void()> on_device(Parameter parameter, std::int64_t patches, std::int64_t batch, at::Device device) {
  const auto network = std::make_shared<Network>();
  network->tissue = at::rand({batch, 1, 70, 3, 3});
  network->artery = at::rand({batch, 1, 70, 3, 3});
  network->move_to(device);
  const bool pooled = architecture_of(parameter) == Architecture::max_pool;
  return [=] {
    at::set_num_threads(1);
    const c10::InferenceMode no_gradients;
    at::Tensor estimates;
    for (std::int64_t first = 0; first < patches; first += batch) {
      const auto l5 =
          at::cat({network->ctc.forward(network->tissue, pooled), network->aif.forward(network->artery, pooled)}, 1);
      const auto l6 = at::addmm(network->fc6_bias, l5, network->fc6.t()).relu_();
      const auto l7 = at::addmm(network->fc7_bias, l6, network->fc7.t()).relu_();
      estimates = at::addmm(network->fc8_bias, l7, network->fc8.t());
    }
    if (device.is_cuda()) estimates.to(at::kCPU);  // a GPU works on while the program does
  };
}

}  // namespace

std::function<void()> patchwise_network(Parameter parameter, std::int64_t patches, std::int64_t batch) {
  return on_device(parameter, patches, batch, at::kCPU);
}

std::function<void()> patchwise_network_on_gpu(Parameter parameter, std::int64_t patches, std::int64_t batch) {
  if (!at::hasCUDA()) return nullptr;
  return on_device(parameter, patches, batch, at::kCUDA);
}

}  // namespace perfpipe::bench
