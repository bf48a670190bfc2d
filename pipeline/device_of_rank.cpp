#include "pipeline/device_of_rank.hpp"

#include <algorithm>

namespace perfpipe {

DeviceOfRank device_of_this_rank(const Job& job, Communicator& communicator) {
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

}  // namespace perfpipe
