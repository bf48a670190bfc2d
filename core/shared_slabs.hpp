// Slabs of a volume computed by all ranks that share a task, their results taken by the first of them.
#pragma once

#include "core/slabs.hpp"
#include "core/stage.hpp"

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// Ends a round on all ranks of a group if one of them cannot go on, with its error or because the job shall stop.
inline void agree_to_go_on(Communicator& group, const std::string& problem, bool stopped) {
  double worst[] = {stopped ? 2.0 : problem.empty() ? 0.0 : 1.0};
  group.allreduce_max(worst, "a slab");
  if (worst[0] == 2.0) throw Stopped();
  if (worst[0] == 0.0) return;
  std::string first;
  for (const auto& text : group.gather(problem, 0, "errors in a slab"))
    if (first.empty()) first = text;
  throw InputError(group.broadcast(first, 0, "the error in a slab"));
}

/// For slabs of up to `step` of `slices` slices: take(first, count, compute(first, count, read(first, count))), in
/// their order, on the task's first rank. The ranks of its group read and compute them in turns; what compute() gives
/// (std::vector<float>) must not depend on how the slices are cut. Memory: a slab and its result for each rank. An
/// InputError or Stopped of one rank is thrown on all.
template <class Read, class Compute, class Take>
void for_each_shared_slab(StageContext& context, std::int64_t slices, std::int64_t step, const Read& read,
                          const Compute& compute, const Take& take) {
  Communicator* const group = context.group();
  const int threads = context.job().threads;
  if (group == nullptr) {
    for_each_slab(slices, step, threads, read, [&](std::int64_t first, std::int64_t count, const auto& slab) {
      const std::vector<float> result = compute(first, count, slab);
      take(first, count, std::span<const float>(result));
    });
    return;
  }
  const std::int64_t ranks = group->size();
  const std::int64_t thickness = std::max<std::int64_t>(1, std::min(step, (slices + ranks - 1) / ranks));
  const std::int64_t rounds = (slices + ranks * thickness - 1) / (ranks * thickness);
  const auto first_of = [&](std::int64_t round, std::int64_t rank) { return (round * ranks + rank) * thickness; };
  const auto read_mine = [&](std::int64_t round, std::int64_t) {
    const std::int64_t first = first_of(round, group->rank());
    using Slab = decltype(read(first, first));
    return first < slices ? std::optional<Slab>(read(first, std::min(thickness, slices - first))) : std::nullopt;
  };
  for_each_slab(rounds, 1, threads, read_mine, [&](std::int64_t round, std::int64_t, const auto& slab) {
    const std::int64_t mine = first_of(round, group->rank());
    std::vector<float> result;
    std::string problem;
    bool stopped = false;
    try {
      if (slab) result = compute(mine, std::min(thickness, slices - mine), *slab);
    } catch (const Stopped&) {
      stopped = true;
    } catch (const InputError& error) {
      problem = error.what();
    }
    agree_to_go_on(*group, problem, stopped);
    const std::string bytes(reinterpret_cast<const char*>(result.data()), result.size() * sizeof(float));
    const auto parts = group->gather(bytes, 0, "maps of a slab");
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
      const std::int64_t first = first_of(round, static_cast<std::int64_t>(rank));
      if (first >= slices) continue;
      std::vector<float> part(parts[rank].size() / sizeof(float));
      std::memcpy(part.data(), parts[rank].data(), parts[rank].size());
      take(first, std::min(thickness, slices - first), std::span<const float>(part));
    }
  });
}

/// A dataset and how many floats a slice of it has.
struct SliceDataset {
  std::string name;
  std::size_t floats;
};

/// Writes slabs of several datasets that stand behind each other in `values`, slice by slice: the order in the file,
/// and so its bytes, do not depend on how thick slabs are.
inline void write_slices(ArtifactWriter& output, const std::vector<SliceDataset>& datasets, std::int64_t first,
                         std::int64_t count, std::span<const float> values) {
  for (std::int64_t slice = 0; slice < count; ++slice) {
    std::size_t before = 0;
    for (const auto& [name, floats] : datasets) {
      output.write_slab<float>(name, first + slice,
                               values.subspan(before + static_cast<std::size_t>(slice) * floats, floats));
      before += static_cast<std::size_t>(count) * floats;
    }
  }
}

/// The sum over the ranks that share a task.
inline void sum_over_group(StageContext& context, std::span<std::int64_t> counts) {
  if (context.group() != nullptr) context.group()->allreduce_sum(counts, "counts of a task's ranks");
}

}  // namespace perfpipe
