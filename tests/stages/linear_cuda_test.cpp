// Deconvolution as the GPU computes it, on the host, beside the CPU's.
#include "model/linear_cuda.hpp"

#include "core/error.hpp"
#include "core/random.hpp"
#include "core/simd.hpp"
#include "model/dense_inference.hpp"
#include "stages/deconvolution_linear.hpp"
#include "tests/model/gpu/host_linear.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

struct Study {
  std::vector<float> aif, curves;
  std::vector<std::uint8_t> inside;
  explicit Study(int samples, int voxels = 700) {
    Random random(1, "linear_cuda");
    for (int t = 0; t < samples; ++t) {
      const double x = std::max(0.0, (t - 10.0) / 4.5);
      aif.push_back(static_cast<float>(8.0 * std::pow(x, 3.0) * std::exp(3.0 * (1.0 - x))));
    }
    for (int v = 0; v < voxels; ++v) {
      const double mtt = random.uniform(2.0, 20.0);
      const int delay = static_cast<int>(random.below(9)) - 2;  // some are ahead of the artery
      double sum = 0.0;
      for (int t = 0; t < samples; ++t) {
        sum = sum * std::exp(-1.0 / mtt) +
              static_cast<double>(aif[static_cast<std::size_t>(std::clamp(t - delay, 0, samples - 1))]);
        curves.push_back(static_cast<float>(v % 50 == 7 ? 0.0 : 0.01 * sum + 0.02 * random.normal()));
      }
      inside.push_back(v % 7 != 3);
    }
  }
};

struct Maps {
  std::array<std::vector<float>, 4> of;
  std::int64_t negative = 0;
  explicit Maps(std::size_t n) {
    for (auto& map : of) map.assign(n, -7.0f);
  }
  std::array<std::span<float>, 4> spans() { return {of[0], of[1], of[2], of[3]}; }
};

Maps on_cpu(const LinearDeconvolution& method, const Study& study, const ParameterScale& scale) {
  Maps maps(study.inside.size());
  maps.negative = deconvolve(method, study.curves, study.inside, 100, scale, 1, {maps.spans(), {}, {}});
  return maps;
}

Maps on_host(const LinearDeconvolution& method, const Study& study, const ParameterScale& scale, int at_once) {
  Maps maps(study.inside.size());
  CudaLinearMaps gpu(method.for_gpu(scale), 0, gpu::host_linear_table(), at_once);
  maps.negative = gpu.compute(study.curves, study.inside, 2, maps.spans());
  return maps;
}

TEST(CudaLinear, HasTheCpusBits) {
#ifdef PERFPIPE_SIMD_CLONES
  const bool fused = dense_kernels().front() != portable_kernel();  // this machine has fused multiply-add
#else
  const bool fused = false;  // this build's products do not use it (core/simd.hpp)
#endif
  for (const int samples : {70, 45})
    for (const double threshold : {0.1, 0.01, 0.4})  // two products, the whole matrix, very few vectors
      for (const bool subsample : {false, true}) {
        const Study study(samples);
        const auto method = bsvd(study.aif, 1.5, threshold);
        const ParameterScale scale{0.73, 1.04, subsample};
        const auto expected = on_cpu(method, study, scale), found = on_host(method, study, scale, 300);
        EXPECT_EQ(found.negative, expected.negative);
        for (std::size_t map = 0; map < 4; ++map) {
          const float range = *std::max_element(expected.of[map].begin(), expected.of[map].end());
          ASSERT_GT(range, 0.0f);
          if (fused) {
            EXPECT_EQ(found.of[map], expected.of[map]) << map << ", " << samples << ", " << threshold;
          }
          std::size_t off = 0;  // without it, a residue function's two highest samples may change places
          for (std::size_t v = 0; v < study.inside.size(); ++v)
            off += std::abs(found.of[map][v] - expected.of[map][v]) > 1e-5f * range;
          EXPECT_LE(off, study.inside.size() / 100);
        }
      }
}

TEST(CudaLinear, TheCasesDiffer) {
  const Study study(70);
  EXPECT_GT(on_cpu(bsvd(study.aif, 1.0, 0.1), study, {}).negative, 0) << "no voxel is ahead of the artery";
  EXPECT_GT(bsvd(study.aif, 1.0, 0.1).for_gpu({}).rank, 0) << "two products";
  EXPECT_EQ(bsvd(study.aif, 1.0, 0.01).for_gpu({}).rank, 0) << "one product";
}

TEST(CudaLinear, BitsDoNotDependOnPieces) {
  const Study study(70);
  const auto method = ssvd(study.aif, 1.0, 0.2);
  const auto whole = on_host(method, study, {}, 1000);
  for (const int at_once : {1, 129, 600}) {
    const auto pieces = on_host(method, study, {}, at_once);
    for (std::size_t map = 0; map < 4; ++map) EXPECT_EQ(pieces.of[map], whole.of[map]) << at_once;
  }
  for (std::size_t v = 0; v < study.inside.size(); ++v)
    if (study.inside[v] == 0) {
      EXPECT_EQ(whole.of[0][v], -7.0f) << "outside it is left as it is";
    }
}

TEST(CudaLinear, ManySamplesAreForTheCpu) {
  const Study few(70, 1), many(900, 1);
  EXPECT_TRUE(CudaLinearMaps::fits(bsvd(few.aif, 1.0, 0.1).for_gpu({})));
  EXPECT_FALSE(CudaLinearMaps::fits(bsvd(many.aif, 1.0, 0.1).for_gpu({})));
}

TEST(CudaLinear, AnOperationThatFailsIsNamed) {
  const Study study(70);
  auto table = gpu::host_linear_table();
  table.wait = [](gpu::LinearSession&, int) { return std::string("cudaStreamSynchronize: broken"); };
  const auto method = bsvd(study.aif, 1.0, 0.1);  // the host's session does not copy its matrices
  CudaLinearMaps gpu(method.for_gpu({}), 2, table, 100);
  Maps maps(study.inside.size());
  try {
    gpu.compute(study.curves, study.inside, 1, maps.spans());
    ADD_FAILURE();
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("GPU 2, deconvolution: cudaStreamSynchronize: broken"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace perfpipe
