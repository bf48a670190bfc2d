// The network as the paper's table has it, for the tests of everything that computes it otherwise.
#pragma once

#include "model/bicnn.hpp"

#include <ATen/ATen.h>

namespace perfpipe {

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

}  // namespace perfpipe
