#include "pipeline/doctor.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

constexpr double least_gibibytes = 1.0;  // a small cohort's store

/// "2 and 5" or "1, 2 ... (7 in all)".
std::string rank_list(const std::vector<std::size_t>& ranks) {
  if (ranks.size() > 8)
    return fmt::format("{} ... ({} in all)", fmt::join(ranks.begin(), ranks.begin() + 4, ", "), ranks.size());
  return fmt::format("{}", fmt::join(ranks, ", "));
}

/// Values of one version on the ranks: value -> ranks.
using Values = std::map<std::string, std::vector<std::size_t>>;

Values values_of(const std::vector<RankFacts>& ranks, const std::string& name) {
  Values values;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto& versions = ranks[rank].versions;
    const auto found =
        std::find_if(versions.begin(), versions.end(), [&](const auto& entry) { return entry.first == name; });
    values[found == versions.end() ? "none" : found->second].push_back(rank);
  }
  return values;
}

/// Names in the order of the rank that knows them first.
std::vector<std::string> version_names(const std::vector<RankFacts>& ranks) {
  std::vector<std::string> names;
  for (const auto& rank : ranks)
    for (const auto& [name, ignored] : rank.versions)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

void judge_versions(const std::vector<RankFacts>& ranks, Diagnosis& diagnosis) {
  for (const auto& name : version_names(ranks)) {
    const Values values = values_of(ranks, name);
    if (values.size() < 2) continue;
    std::vector<std::string> words;
    for (const auto& [value, who] : values) words.push_back(fmt::format("{} on rank {}", value, rank_list(who)));
    diagnosis.warnings.push_back(
        fmt::format("{} differs between ranks: {}; results may differ in their last digits "
                    "with the rank that computes them: use one build and one kind of node",
                    name, fmt::join(words, "; ")));
  }
}

/// OpenBLAS takes its oldest kernels for a processor that came after it.
void judge_blas(const std::vector<RankFacts>& ranks, Diagnosis& diagnosis) {
  const auto is_old = [](const auto& entry) { return entry.first == "BLAS" && entry.second.ends_with("Prescott"); };
  const auto is_newer = [](const auto& entry) {
    return entry.first == "processor" && entry.second.find("AVX2") != std::string::npos;
  };
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto& versions = ranks[rank].versions;
    if (std::none_of(versions.begin(), versions.end(), is_old) ||
        std::none_of(versions.begin(), versions.end(), is_newer))
      continue;
    diagnosis.warnings.push_back(fmt::format(
        "rank {} on {}: OpenBLAS does not know this processor and uses kernels without AVX; OPENBLAS_CORETYPE=Haswell "
        "(SkylakeX where there is AVX-512) makes its matrix products faster, with other last digits",
        rank, ranks[rank].place.node));
    return;  // one is enough
  }
}

void judge_binding(const std::vector<RankFacts>& ranks, bool bound_by_scheduler, Diagnosis& diagnosis) {
  std::map<int, std::vector<const RankFacts*>> nodes;
  for (const auto& rank : ranks) nodes[rank.place.node_number].push_back(&rank);
  for (const auto& [number, of_node] : nodes) {
    std::set<int> used;
    for (const auto* rank : of_node) used.insert(rank->cores.begin(), rank->cores.end());
    const auto& node = of_node.front()->place.node;
    const auto online = of_node.front()->cores_of_node;
    const auto cores = static_cast<int>(used.size()), here = static_cast<int>(of_node.size());
    if (here > online) {
      diagnosis.warnings.push_back(fmt::format("{}: {} ranks on a machine of {} core{}: start fewer", node, here,
                                               online, online == 1 ? "" : "s"));
    } else if (here > cores) {
      diagnosis.warnings.push_back(fmt::format(
          "{}: {} ranks are bound to {} of {} cores ({}) and take turns there: mpirun --bind-to none, or srun "
          "--cpus-per-task=N --cpu-bind=cores",
          node, here, cores, online, core_ranges({used.begin(), used.end()})));
    } else if (!bound_by_scheduler && cores < online) {
      diagnosis.warnings.push_back(
          fmt::format("{}: {} of {} cores are used by no rank: mpirun --bind-to none, or --map-by slot:PE={}", node,
                      online - cores, online, std::max(1, online / here)));
    }
  }
}

void judge_gpus(const std::vector<RankFacts>& ranks, Diagnosis& diagnosis) {
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    for (std::size_t i = 0; i < ranks[rank].gpu_trials.size(); ++i) {
      if (ranks[rank].gpu_trials[i].empty()) continue;
      diagnosis.errors.push_back(fmt::format("rank {} on {}: GPU {} ({}) does not compute: {}", rank,
                                             ranks[rank].place.node, i, ranks[rank].place.gpus.at(i).name,
                                             ranks[rank].gpu_trials[i]));
      diagnosis.code = ExitCode::device;
    }
  const auto placement = place(
      [&] {
        std::vector<RankView> views;
        for (const auto& rank : ranks) views.push_back(rank.place);
        return views;
      }(),
      DeviceChoice::automatic);
  if (!placement.warning.empty()) diagnosis.warnings.push_back(placement.warning);
}

void judge_disks(const std::vector<RankFacts>& ranks, Diagnosis& diagnosis) {
  std::set<std::string> told;
  for (const auto& rank : ranks) {
    if (!told.insert(rank.place.node + rank.disk_folder).second) continue;
    if (!rank.writable) {
      diagnosis.errors.push_back(fmt::format("{}: {} is not writable; choose another folder with --output",
                                             rank.place.node, rank.disk_folder));
      diagnosis.code = ExitCode::io;
    } else if (rank.free_gibibytes >= 0.0 && rank.free_gibibytes < least_gibibytes) {
      diagnosis.warnings.push_back(
          fmt::format("{}: only {:.2f} GiB are free in {}", rank.place.node, rank.free_gibibytes, rank.disk_folder));
    }
  }
}

void print_report(const std::vector<RankFacts>& ranks) {
  for (const auto& name : version_names(ranks)) {
    const Values values = values_of(ranks, name);
    for (const auto& [value, who] : values)
      fmt::print("{:<13} {}{}\n", name, value, values.size() < 2 ? "" : fmt::format("   (rank {})", rank_list(who)));
  }
  std::map<int, std::vector<std::size_t>> nodes;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) nodes[ranks[rank].place.node_number].push_back(rank);
  std::vector<RankView> views;
  for (const auto& rank : ranks) views.push_back(rank.place);
  const auto placement = place(views, DeviceChoice::automatic);
  fmt::print("computing on  {}\n", placement.summary);
  for (const auto& [number, here] : nodes) {
    const auto& first = ranks[here.front()];
    fmt::print("\nnode {}: {} rank{}, {} cores, {:.1f} GiB free in {}\n", first.place.node, here.size(),
               here.size() == 1 ? "" : "s", first.cores_of_node, first.free_gibibytes, first.disk_folder);
    std::map<std::string, const CudaDevice*> gpus;
    for (const auto rank : here)
      for (const auto& gpu : ranks[rank].place.gpus) gpus[gpu.uuid] = &gpu;
    for (const auto& [uuid, gpu] : gpus)
      fmt::print("  GPU {}: {}, {:.0f} GiB, compute capability {}.{}\n", uuid, gpu->name,
                 static_cast<double>(gpu->memory_bytes) / (1 << 30), gpu->major, gpu->minor);
    if (gpus.empty()) fmt::print("  no GPU: {}\n", first.place.problem);
    for (const auto rank : here) {
      std::string gpu;
      if (placement.cuda)
        gpu = ", GPU " + ranks[rank].place.gpus.at(static_cast<std::size_t>(placement.gpu_of_rank.at(rank))).uuid;
      fmt::print("  rank {}: cores {}{}\n", rank, core_ranges(ranks[rank].cores), gpu);
    }
  }
}

}  // namespace

std::string core_ranges(const std::vector<int>& cores) {
  std::string text;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t end = i;
    while (end + 1 < cores.size() && cores[end + 1] == cores[end] + 1) ++end;
    text += (text.empty() ? "" : ",") + std::to_string(cores[i]) + (end > i ? "-" + std::to_string(cores[end]) : "");
    i = end + 1;
  }
  return text.empty() ? "unknown" : text;
}

Diagnosis diagnose(const std::vector<RankFacts>& ranks, bool bound_by_scheduler) {
  Diagnosis diagnosis;
  judge_versions(ranks, diagnosis);
  judge_blas(ranks, diagnosis);
  judge_binding(ranks, bound_by_scheduler, diagnosis);
  judge_disks(ranks, diagnosis);
  judge_gpus(ranks, diagnosis);
  return diagnosis;
}

ExitCode run_doctor(Communicator& communicator, const std::filesystem::path& output) {
  const auto node = communicator.split_by_node("ranks of this node");
  const int number = std::stoi(node->broadcast(std::to_string(communicator.rank()), 0, "number of this node"));
  const auto parts =
      communicator.gather(to_json(facts_of_this_rank(number, node->rank(), output)).dump(), 0, "what the ranks found");
  int code = 0;
  if (communicator.rank() == 0) {
    std::vector<RankFacts> ranks;
    for (const auto& part : parts) ranks.push_back(rank_facts(nlohmann::json::parse(part)));
    print_report(ranks);
    const auto diagnosis = diagnose(ranks, std::getenv("SLURM_JOB_ID") != nullptr);
    fmt::print("\n");
    for (const auto& warning : diagnosis.warnings) fmt::print("warning: {}\n", warning);
    for (const auto& error : diagnosis.errors) fmt::print("error: {}\n", error);
    if (diagnosis.warnings.empty() && diagnosis.errors.empty()) fmt::print("nothing is wrong\n");
    std::fflush(stdout);
    code = static_cast<int>(diagnosis.code);
  }
  return static_cast<ExitCode>(std::stoi(communicator.broadcast(std::to_string(code), 0, "exit code")));
}

}  // namespace perfpipe
