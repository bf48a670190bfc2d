// A false libperfpipe_cuda.so: put beside a copy of the executable it makes it see GPUs that are not there. They are
// named in PERFPIPE_FALSE_GPUS as "A:9 B:9" (UUID and major compute capability); "A:9!" does not compute. The kernels
// of model/ run on the host.
#include "cluster/cuda_copies.hpp"
#include "cluster/cuda_devices.hpp"
#include "cluster/nccl.hpp"
#include "tests/model/gpu/host_dense.hpp"
#include "tests/model/gpu/host_linear.hpp"
#include "tests/model/gpu/host_training.hpp"

#include <cstdlib>
#include <cstring>
#include <sstream>

namespace perfpipe {
namespace {

std::vector<std::string> words() {
  const char* const text = std::getenv("PERFPIPE_FALSE_GPUS");
  std::istringstream stream(text == nullptr ? "" : text);
  std::vector<std::string> found;
  for (std::string word; stream >> word;) found.push_back(word);
  return found;
}

std::vector<CudaDevice> list(std::string& problem) {
  std::vector<CudaDevice> gpus;
  for (const auto& word : words()) {
    CudaDevice gpu;
    const auto colon = word.find(':');
    gpu.uuid = "GPU-" + word.substr(0, colon);
    gpu.major = word.at(colon + 1) - '0';
    gpu.name = "False GPU " + std::to_string(gpu.major);
    gpu.memory_bytes = std::size_t{80} << 30;
    gpus.push_back(gpu);
  }
  problem = gpus.empty() ? "the driver sees no GPU" : "";
  return gpus;
}

std::string try_out(int device) {
  return words().at(static_cast<std::size_t>(device)).back() == '!' ? "it is false" : "";
}
int version() { return 13000; }

std::string copy(void* to, const void* from, std::size_t bytes, void*) {
  std::memcpy(to, from, bytes);
  return "";
}
std::string wait(void*) { return ""; }

const std::string& no_nccl() {
  static const std::string reason = "there is a false library only";
  return reason;
}

}  // namespace
}  // namespace perfpipe

extern "C" const perfpipe::CudaDeviceTable* perfpipe_cuda_devices() {
  static const perfpipe::CudaDeviceTable table{perfpipe::list, perfpipe::try_out, perfpipe::version, perfpipe::version};
  return &table;
}

extern "C" const perfpipe::CudaCopyTable* perfpipe_cuda_copies() {
  static const perfpipe::CudaCopyTable table{perfpipe::copy, perfpipe::copy, perfpipe::wait};
  return &table;
}

extern "C" const perfpipe::NcclTable* perfpipe_nccl() {
  static const perfpipe::NcclTable table = [] {
    perfpipe::NcclTable none{};
    none.problem = perfpipe::no_nccl;
    return none;
  }();
  return &table;
}

extern "C" const perfpipe::gpu::DenseCudaTable* perfpipe_dense_cuda() { return &perfpipe::gpu::host_dense_table(); }
extern "C" const perfpipe::gpu::LinearCudaTable* perfpipe_linear_cuda() { return &perfpipe::gpu::host_linear_table(); }
extern "C" const perfpipe::gpu::TrainingCudaTable* perfpipe_training_cuda() {
  return &perfpipe::gpu::host_training_table();
}
