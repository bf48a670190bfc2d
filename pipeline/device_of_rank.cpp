#include "pipeline/device_of_rank.hpp"

#include "model/dense_inference.hpp"

#include <algorithm>

namespace perfpipe {
namespace {

/// The same on all ranks: the tasks of a job have one key, whoever computes them.
std::string fast_arithmetic(const Job& job, Communicator& communicator) {
  const std::string exact = Device().fast_arithmetic;
  if (std::none_of(job.stages.begin(), job.stages.end(),
                   [](const auto& instance) { return instance.stage->wants_fast_arithmetic(); }))
    return exact;
  const auto* const kernel = fast_dense_kernel();
  double without = kernel == nullptr ? 1.0 : 0.0;
  communicator.allreduce_max({&without, 1}, "whether all processors have AMX");
  return without > 0.0 ? exact : kernel->name;
}

DeviceOfRank placed(const Job& job, Communicator& communicator) {
  DeviceOfRank here;
  if (job.device == DeviceChoice::cpu) {
    here.placement = place({}, job.device);
    return here;
  }
  if (job.device == DeviceChoice::automatic &&
      std::none_of(job.stages.begin(), job.stages.end(),
                   [](const auto& instance) { return instance.stage->device_use() != DeviceUse::none; })) {
    here.placement.summary = "the CPU: no stage of this job computes on GPUs";
    return here;
  }
  std::string problem;
  const auto gpus = visible_cuda_devices(problem);
  here.device = place_this_rank(communicator, job.device, gpus, problem, here.placement);
  if (here.device.cuda) here.gpu = gpus.at(static_cast<std::size_t>(here.device.index)).uuid;
  return here;
}

}  // namespace

DeviceOfRank device_of_this_rank(const Job& job, Communicator& communicator) {
  auto here = placed(job, communicator);
  here.device.fast_arithmetic = fast_arithmetic(job, communicator);
  return here;
}

}  // namespace perfpipe
