#include "pipeline/doctor_facts.hpp"

#include "cluster/mpi_communicator.hpp"
#include "cluster/nccl.hpp"
#include "core/cuda_library.hpp"
#include "core/error.hpp"
#include "core/version.hpp"
#include "formats/itk_version.hpp"
#include "model/blas_threads.hpp"
#include "model/dense_inference.hpp"
#include "model/torch_library.hpp"
#include "model/training_network.hpp"

#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

/// "13.0" of 13000, as CUDA counts.
std::string cuda_version(int number) {
  return number == 0 ? "none" : fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

std::vector<int> cores_of_this_process() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cores.push_back(cpu);
  return cores;
}

std::string processor_features() {
  std::vector<std::string> features;
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) features.push_back("AVX2");
  if (__builtin_cpu_supports("fma")) features.push_back("FMA");
  if (__builtin_cpu_supports("avx512f")) features.push_back("AVX-512");
#endif
  if (fast_dense_kernel() != nullptr) features.push_back("AMX");
  return features.empty() ? "none that kernels use" : fmt::format("{}", fmt::join(features, " "));
}

void add_cuda(RankFacts& facts) {
  const std::string& closed = cuda_library_problem();
  if (!closed.empty()) {
    facts.versions.emplace_back("GPU code", "none: " + closed);
    facts.place.problem = closed;
    return;
  }
  const auto& table = cuda_table<CudaDeviceTable>();
  facts.versions.emplace_back("CUDA runtime", cuda_version(table.runtime_version()));
  const int driver = table.driver_version();
  facts.versions.emplace_back("CUDA driver", driver == 0 ? "none" : "for CUDA " + cuda_version(driver) + " and older");
  facts.versions.emplace_back("NCCL", nccl_version());
  facts.place.gpus = visible_cuda_devices(facts.place.problem);
  for (std::size_t i = 0; i < facts.place.gpus.size(); ++i)
    facts.gpu_trials.push_back(table.try_out(static_cast<int>(i)));
}

void add_disk(RankFacts& facts, const fs::path& output) {
  std::error_code error;
  auto folder = fs::absolute(output, error).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // "x/" of "x/."
  while (!fs::exists(folder, error) && folder != folder.parent_path()) folder = folder.parent_path();
  facts.disk_folder = folder.string();
  facts.writable = ::access(folder.c_str(), W_OK | X_OK) == 0;
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) == 0)
    facts.free_gibibytes = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) / (1 << 30);
}

}  // namespace

RankFacts facts_of_this_rank(int node_number, int local_rank, const fs::path& output) {
  RankFacts facts;
  utsname system{};
  ::uname(&system);
  facts.place.node = system.nodename;
  facts.place.node_number = node_number;
  facts.place.local_rank = local_rank;
  facts.versions = {{"perfpipe", std::string(version)},
                    {"compiler", "GCC " __VERSION__},
                    {"C library", ::gnu_get_libc_version()},
                    {"kernel", system.release},
                    {"MPI", mpi_library()},
                    {"MPI threads", mpi_threading().empty() ? "not started: one rank" : mpi_threading()},
                    {"HDF5", hdf5_version()},
                    {"ITK", itk_version()},
                    {"LibTorch", torch_library_version()},
                    {"BLAS", blas_description().empty() ? "not OpenBLAS: slow" : blas_description()},
                    {"processor", processor_features()},
                    {"kernels", fmt::format("inference {}, training {}", dense_kernels().front()->name,
                                            training_kernels().front()->name)}};
  facts.cores = cores_of_this_process();
  facts.cores_of_node = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  add_cuda(facts);
  add_disk(facts, output);
  return facts;
}

json to_json(const RankFacts& facts) {
  return {{"place", to_json(facts.place)}, {"versions", facts.versions}, {"cores", facts.cores},
          {"online", facts.cores_of_node}, {"trials", facts.gpu_trials}, {"folder", facts.disk_folder},
          {"free", facts.free_gibibytes},  {"writable", facts.writable}};
}

RankFacts rank_facts(const json& of) {
  RankFacts facts;
  facts.place = rank_view(of.at("place"));
  facts.versions = of.at("versions").get<std::vector<std::pair<std::string, std::string>>>();
  facts.cores = of.at("cores").get<std::vector<int>>();
  facts.cores_of_node = of.at("online");
  facts.gpu_trials = of.at("trials").get<std::vector<std::string>>();
  facts.disk_folder = of.at("folder");
  facts.free_gibibytes = of.at("free");
  facts.writable = of.at("writable");
  return facts;
}

}  // namespace perfpipe
